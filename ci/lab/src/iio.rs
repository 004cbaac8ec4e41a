//! An Industrial I/O device: its folder of attributes as below `/sys/bus/iio/devices`, and its character device, which
//! yields scans (`Documentation/ABI/testing/sysfs-bus-iio`, `Documentation/iio/iio_devbuf.rst`).

mod attribute;
mod buffer;
mod device;
mod spec;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::node::Node;
use crate::tree::Tree;

pub(crate) use device::{IioDevice, sample};
pub use spec::{IioSpec, ScanType};

/// The test's end of an emulated IIO device.
#[derive(Debug, Clone)]
pub struct Iio {
    tree: Arc<Tree>,
    root: PathBuf,
    number: u32,
    device: Arc<IioDevice>,
}

impl Iio {
    pub(crate) fn new(tree: &Arc<Tree>, root: &Path, number: u32, device: Arc<IioDevice>) -> Self {
        let iio = Self {
            tree: Arc::clone(tree),
            root: root.to_owned(),
            number,
            device,
        };
        iio.replug();
        iio
    }

    /// The folder that stands for `/sys/bus/iio/devices/iio:deviceN`.
    pub fn folder(&self) -> PathBuf {
        self.root.join(self.folder_name())
    }

    /// The file that stands for `/dev/iio:deviceN`.
    pub fn path(&self) -> PathBuf {
        self.root.join(self.file_name())
    }

    /// No sample comes any more, until [`resume`](Self::resume).
    pub fn stall(&self) {
        self.device.set_stalled(true);
    }

    /// Ends a stall.
    pub fn resume(&self) {
        self.device.set_stalled(false);
    }

    /// Scans taken since the buffer was last enabled, and how many of them were lost because the buffer was full.
    pub fn scans(&self) -> (u64, u64) {
        self.device.scans()
    }

    /// Pulls the device: folder and file vanish, reads that wait get `ENODEV`.
    pub fn unplug(&self) {
        self.tree.unplug(&self.file_name());
        self.tree.unplug(&self.folder_name());
    }

    /// Puts the device back, its buffer off and no channel enabled.
    pub fn replug(&self) {
        let node = Arc::clone(&self.device) as Arc<dyn Node>;
        self.tree.plug(&self.file_name(), node);
        for (name, node) in attribute::nodes(&self.device) {
            self.tree.plug(&format!("{}/{name}", self.folder_name()), node);
        }
    }

    fn folder_name(&self) -> String {
        format!("sys/bus/iio/devices/iio:device{}", self.number)
    }

    fn file_name(&self) -> String {
        format!("dev/iio:device{}", self.number)
    }
}
