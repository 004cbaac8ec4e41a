//! The bounded history of one stream, and windows cut from it.
