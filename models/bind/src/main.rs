//! Training: bind a sense to images.
fn main() {}
