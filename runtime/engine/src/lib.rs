//! Capture and perceive, free of I/O.
