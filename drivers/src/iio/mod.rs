//! Linux Industrial I/O (`Documentation/ABI/testing/sysfs-bus-iio` and `Documentation/iio/` in the kernel's sources).
//!
//! A device is a folder of small text files, and a node that gives scans: one value of every enabled channel, laid out
//! as the folder says.

pub(crate) mod buffer;
pub(crate) mod channel;
pub(crate) mod device;
pub(crate) mod folder;
pub(crate) mod polled;
pub(crate) mod rate;
mod scan;
pub(crate) mod trigger;
