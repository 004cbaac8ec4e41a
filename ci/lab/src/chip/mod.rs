//! Emulated chips, one file per family: registers as the data sheets describe them, with settable physical values.
