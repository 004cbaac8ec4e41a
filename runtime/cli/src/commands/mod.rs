//! One file per verb.

pub mod boards;
pub mod demo;
pub mod devices;
pub mod doctor;
pub mod embed;
pub mod eval;
pub mod pack;
pub mod record;
pub mod replay;
pub mod run;
