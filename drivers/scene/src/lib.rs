//! A small simulated world.
