//! Emulated chips, one file per family: registers as the data sheets describe them, with settable physical values.

pub mod amg8833;
pub mod clock;
pub mod lepton;
pub mod mlx90640;
pub mod thermal;
