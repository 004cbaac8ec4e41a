//! Prompts, scores and the detector: pure, no clock, no I/O.
