//! The lab: a mounted folder of device nodes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::bus::{I2cChip, SpiChip};
use crate::camera::{self, Camera, CameraNode, CameraSpec, Shot};
use crate::channel::Channel;
use crate::i2c::{I2cBus, I2cNode};
use crate::iio::{self, Iio, IioDevice, IioSpec};
use crate::lock::lock;
use crate::mount::{Mount, Unavailable};
use crate::node::Node;
use crate::plug::Plug;
use crate::session;
use crate::spi::{SpiDevice, SpiNode};
use crate::tree::Tree;

/// A folder of emulated device nodes, mounted through FUSE. Dropping it, in a panic too, unmounts: files that are still
/// open then fail with `ECONNABORTED`.
#[derive(Debug)]
pub struct Lab {
    tree: Arc<Tree>,
    channel: Channel,
    /// Taken on drop, before the thread is joined.
    mount: Option<Mount>,
    server: Option<JoinHandle<()>>,
    /// Threads of devices that act on their own.
    threads: Mutex<Vec<JoinHandle<()>>>,
    folder: PathBuf,
}

impl Lab {
    /// Mounts an empty lab in a fresh temporary folder and starts the thread that answers for it.
    ///
    /// # Errors
    /// [`Unavailable`] with reason and remedy where this machine has no FUSE or the process may not mount.
    pub fn new() -> Result<Self, Unavailable> {
        let (mount, fuse) = Mount::new()?;
        let folder = mount.path().to_owned();
        let tree = Arc::new(Tree::new());
        let channel = Channel::new(fuse);
        let server = thread::Builder::new()
            .name("lab".to_owned())
            .spawn({
                let (channel, tree) = (channel.clone(), Arc::clone(&tree));
                move || session::serve(&channel, &tree)
            })
            .map_err(|error| Unavailable::new(format!("no thread can be started ({error})"), "free some memory"))?;
        Ok(Self {
            tree,
            channel,
            mount: Some(mount),
            server: Some(server),
            threads: Mutex::new(Vec::new()),
            folder,
        })
    }

    /// The mounted folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of the node `name`, plugged in or not.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Adds an I2C bus with `chips` at their 7-bit addresses; the node speaks as i2c-dev does.
    pub fn i2c(&self, name: &str, chips: Vec<(u8, Box<dyn I2cChip>)>) -> I2cBus {
        let node = Arc::new(I2cNode::new(chips));
        I2cBus::new(self.add(name, Arc::clone(&node) as Arc<dyn Node>), node)
    }

    /// Adds a SPI device; the node speaks as spidev does.
    pub fn spi(&self, name: &str, chip: Box<dyn SpiChip>) -> SpiDevice {
        let node = Arc::new(SpiNode::new(chip));
        SpiDevice::new(self.add(name, Arc::clone(&node) as Arc<dyn Node>), node)
    }

    /// Adds a camera. For each frame `picture` fills the bytes and returns how many it used: all but for a compressed
    /// format. It runs on a thread of the camera's own; a picture that panics ends the stream with `EIO`.
    ///
    /// # Panics
    /// When the system gives no thread.
    pub fn camera(
        &self,
        name: &str,
        spec: CameraSpec,
        picture: impl FnMut(&Shot, &mut [u8]) -> usize + Send + 'static,
    ) -> Camera {
        let node = Arc::new(CameraNode::new(&self.channel, spec));
        let plug = self.add(name, Arc::clone(&node) as Arc<dyn Node>);
        let exposing = Arc::clone(&node);
        lock(&self.threads).push(thread::spawn(move || camera::expose(&exposing, picture)));
        Camera::new(plug, node)
    }

    /// Adds the IIO device `number`. `values` gives every channel's value, in the order of the spec, for the scan of a
    /// number (counted from the buffer's enabling; a `*_raw` file is read as the next scan would be).
    ///
    /// # Panics
    /// When the system gives no thread.
    pub fn iio(&self, number: u32, spec: IioSpec, values: impl FnMut(u64, &mut [i64]) + Send + 'static) -> Iio {
        let device = Arc::new(IioDevice::new(&self.channel, spec, Box::new(values)));
        let iio = Iio::new(&self.tree, &self.folder, number, Arc::clone(&device));
        lock(&self.threads).push(thread::spawn(move || iio::sample(&device)));
        iio
    }

    /// Refuses, or allows again, to open the node `name`: `EACCES`, as for a user who is not in the device's group.
    /// Forgotten when the node is pulled.
    pub fn deny(&self, name: &str, denied: bool) {
        self.tree.deny(name, denied);
    }

    fn add(&self, name: &str, node: Arc<dyn Node>) -> Plug {
        let plug = Plug::new(&self.tree, self.path(name), name, node);
        plug.replug();
        plug
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for node in self.tree.nodes() {
            node.shut_down();
        }
        drop(self.mount.take());
        for thread in lock(&self.threads).drain(..).chain(self.server.take()) {
            // They catch every panic of a test's chips and pictures; nothing is left to report.
            let _ = thread.join();
        }
    }
}
