//! Video nodes: what each says of itself, and finding one again whatever number it got.

use super::fault::fault;
use super::identity::Identity;
use sensebind_core::{ErrorKind, Found, Settings, SourceError};
use std::fmt;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use v4l::FourCC;
use v4l::capability::Flags;
use v4l::video::Capture as _;

/// An open video node.
pub(crate) struct Camera {
    pub(super) device: v4l::Device,
    /// Its path, for messages.
    pub(super) at: String,
}

impl Camera {
    /// Opens the node that `identity` names right now; of several (a depth camera has one per picture) the one that offers
    /// one of `formats`.
    ///
    /// # Errors
    /// [`ErrorKind::Gone`] when it is not there, [`ErrorKind::Denied`], [`ErrorKind::Misconfigured`] when it names more
    /// than one device.
    pub(crate) fn open(identity: &Identity, formats: &[FourCC]) -> Result<Self, SourceError> {
        let path = match identity {
            Identity::Path(path) => path.clone(),
            _ => Host::this().resolve(identity, formats)?,
        };
        let at = path.display().to_string();
        match v4l::Device::with_path(path) {
            Ok(device) => Ok(Self { device, at }),
            Err(error) => Err(fault(&at, "cannot be opened", &error)),
        }
    }
}

/// What a USB device says of itself in sysfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Usb {
    pub(super) vendor: String,
    pub(super) product: String,
    pub(super) serial: Option<String>,
}

/// A video node that captures by streaming.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(super) path: PathBuf,
    pub(super) usb: Option<Usb>,
    /// Its name; empty where it has none that can be read.
    pub(super) card: String,
    pub(super) bus: String,
    formats: Vec<FourCC>,
}

impl Node {
    pub(crate) fn offers(&self, formats: &[FourCC]) -> bool {
        self.formats.iter().any(|format| formats.contains(format))
    }

    /// What it can be called, the most lasting first.
    fn identities(&self) -> Vec<Identity> {
        let mut identities = Vec::new();
        if let Some(Usb {
            vendor,
            product,
            serial,
        }) = self.usb.clone()
        {
            let usb = |serial| Identity::Usb {
                vendor: vendor.clone(),
                product: product.clone(),
                serial,
            };
            if serial.is_some() {
                identities.push(usb(serial));
            }
            identities.push(usb(None));
        }
        if !self.bus.is_empty() {
            identities.push(Identity::Bus(self.bus.clone()));
        }
        identities
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} at {}:", self.card, self.bus, self.path.display())?;
        self.formats.iter().try_for_each(|format| write!(f, " {format}"))
    }
}

/// The nodes that `suits` accepts, as devices of a board: each with the most lasting identity that names no other of them,
/// and `settings` besides. Opens every node; milliseconds.
pub(crate) fn find(name: &str, suits: impl Fn(&Node) -> bool, settings: &Settings) -> Vec<Found> {
    let found = Host::this().find(suits).into_iter().enumerate();
    found
        .map(|(nth, (identity, node))| {
            let mut settings = settings.clone();
            settings.insert("device".to_owned(), identity.to_string().into());
            Found {
                name: if nth == 0 {
                    name.to_owned()
                } else {
                    format!("{name}_{}", nth + 1)
                },
                settings,
                about: node.to_string(),
            }
        })
        .collect()
}

/// Where nodes and what the kernel says of them are.
#[derive(Debug)]
struct Host {
    dev: PathBuf,
    sys: PathBuf,
}

impl Host {
    fn this() -> Self {
        Self {
            dev: PathBuf::from("/dev"),
            sys: PathBuf::from("/sys"),
        }
    }

    fn find(&self, suits: impl Fn(&Node) -> bool) -> Vec<(Identity, Node)> {
        let looks = self.names().into_iter().map(|name| self.look(&name));
        let nodes: Vec<_> = looks.filter_map(|look| look.ok().flatten()).filter(suits).collect();
        let alone = |identity: &Identity| nodes.iter().filter(|node| identity.names(node)).count() == 1;
        nodes
            .iter()
            .map(|node| {
                let lasting = node.identities().into_iter().find(alone);
                (
                    lasting.unwrap_or_else(|| Identity::Path(node.path.clone())),
                    node.clone(),
                )
            })
            .collect()
    }

    fn resolve(&self, identity: &Identity, formats: &[FourCC]) -> Result<PathBuf, SourceError> {
        let (mut named, mut others, mut denied) = (Vec::new(), Vec::new(), None);
        for name in self.names() {
            // What sysfs knows keeps other cameras from being opened, which wakes them.
            if matches!(identity, Identity::Usb { .. }) && !self.usb(&name).is_some_and(|usb| identity.names_usb(&usb))
            {
                continue;
            }
            match self.look(&name) {
                Ok(Some(node)) if identity.names(&node) => named.push(node),
                Ok(Some(node)) => others.push(node.to_string()),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let at = self.dev.join(&name).display().to_string();
                    denied = Some(fault(&at, "cannot be opened", &error));
                }
                // It has just gone.
                Err(_) => {}
            }
        }
        if named.len() > 1 && named.iter().any(|node| node.offers(formats)) {
            named.retain(|node| node.offers(formats));
        }
        match (named.as_slice(), denied) {
            ([node], _) => Ok(node.path.clone()),
            ([], Some(denied)) => Err(denied),
            ([], None) => {
                let others = if others.is_empty() {
                    String::new()
                } else {
                    format!("; there are: {}", others.join("; "))
                };
                let message = format!("no camera is {identity}: is it plugged in?{others}");
                Err(SourceError::new(ErrorKind::Gone, message))
            }
            (several, _) => {
                let several: Vec<_> = several.iter().map(ToString::to_string).collect();
                let message = format!(
                    "{identity} names {} cameras, expected one: {}; name it by its socket (bus:...), its path, or say its \
                     pixel_format",
                    several.len(),
                    several.join("; ")
                );
                Err(SourceError::new(ErrorKind::Misconfigured, message))
            }
        }
    }

    /// Names of the video nodes, by number.
    fn names(&self) -> Vec<String> {
        let number = |name: &str| name.strip_prefix("video")?.parse::<u32>().ok();
        let mut names: Vec<_> = fs::read_dir(&self.dev)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| Some((number(&name)?, name)))
            .collect();
        names.sort();
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// What node `name` says of itself; nothing where it does not capture by streaming.
    fn look(&self, name: &str) -> io::Result<Option<Node>> {
        let path = self.dev.join(name);
        let device = v4l::Device::with_path(&path)?;
        // The library panics where the device's name is no UTF-8, as one cut off after 31 bytes may not be.
        let capabilities = catch_unwind(AssertUnwindSafe(|| device.query_caps()));
        let (card, bus) = match capabilities {
            Ok(capabilities) => {
                let capabilities = capabilities?;
                let needed = Flags::VIDEO_CAPTURE | Flags::STREAMING;
                if !capabilities.capabilities.contains(needed) || capabilities.capabilities.contains(Flags::VIDEO_M2M) {
                    return Ok(None);
                }
                (capabilities.card, capabilities.bus)
            }
            Err(_) => (String::new(), String::new()),
        };
        let formats: Vec<_> = device.enum_formats()?.into_iter().map(|format| format.fourcc).collect();
        let usb = self.usb(name);
        Ok((!formats.is_empty()).then_some(Node {
            path,
            usb,
            card,
            bus,
            formats,
        }))
    }

    /// What the USB device behind node `name` says of itself, where it is one.
    fn usb(&self, name: &str) -> Option<Usb> {
        let interface = fs::canonicalize(self.sys.join("class/video4linux").join(name).join("device")).ok()?;
        let device = interface.ancestors().find(|folder| folder.join("idVendor").is_file())?;
        let read = |file: &str| Some(fs::read_to_string(device.join(file)).ok()?.trim().to_owned());
        Some(Usb {
            vendor: read("idVendor")?,
            product: read("idProduct")?,
            serial: read("serial").filter(|serial| !serial.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sensebind_lab::{self as lab, CameraMode, CameraSpec, Lab, PixelFormat, Shot};

    fn identity(text: &str) -> Result<Identity, String> {
        Identity::try_from(text.to_owned())
    }

    fn node(path: &str, usb: Option<(&str, Option<&str>)>, bus: &str) -> Node {
        Node {
            path: PathBuf::from(path),
            usb: usb.map(|(product, serial)| Usb {
                vendor: "046d".to_owned(),
                product: product.to_owned(),
                serial: serial.map(str::to_owned),
            }),
            card: "Cam".to_owned(),
            bus: bus.to_owned(),
            formats: vec![FourCC::new(b"YUYV")],
        }
    }

    #[test]
    fn the_most_lasting_identity_comes_first() {
        let first = |node: &Node| node.identities().first().map(ToString::to_string);
        let serial = node("/dev/video0", Some(("0825", Some("A1"))), "usb-1");
        assert_eq!(first(&serial).as_deref(), Some("usb:046d:0825:A1"));
        let no_serial = node("/dev/video0", Some(("0825", None)), "usb-1");
        assert_eq!(first(&no_serial).as_deref(), Some("usb:046d:0825"));
        assert_eq!(
            first(&node("/dev/video0", None, "platform:isp")).as_deref(),
            Some("bus:platform:isp")
        );
        assert_eq!(first(&node("/dev/video0", None, "")), None);
        assert!(serial.identities().iter().all(|identity| identity.names(&serial)));
        let other_serial = node("/dev/video1", Some(("0825", Some("B2"))), "usb-2");
        assert!(!serial.identities()[0].names(&other_serial) && serial.identities()[1].names(&other_serial));
    }

    #[test]
    fn sysfs_tells_the_usb_device_behind_a_node() {
        let root = tempfile::tempdir().unwrap();
        let device = root.path().join("devices/usb1/1-2");
        let interface = device.join("1-2:1.0");
        let class = root.path().join("class/video4linux/video3");
        fs::create_dir_all(&interface).unwrap();
        fs::create_dir_all(&class).unwrap();
        fs::write(device.join("idVendor"), "1e4e\n").unwrap();
        fs::write(device.join("idProduct"), "0100\n").unwrap();
        std::os::unix::fs::symlink(&interface, class.join("device")).unwrap();
        let host = Host {
            dev: root.path().join("dev"),
            sys: root.path().to_owned(),
        };
        assert_eq!(host.usb("video3").unwrap().serial, None);
        fs::write(device.join("serial"), "8005\n").unwrap();
        let usb = host.usb("video3").unwrap();
        assert!(identity("usb:1e4e:0100:8005").unwrap().names_usb(&usb));
        assert!(!identity("usb:1e4e:0100:8006").unwrap().names_usb(&usb));
        assert_eq!(host.usb("video4"), None);
    }

    #[test]
    fn what_is_not_there_is_gone() {
        let root = tempfile::tempdir().unwrap();
        // No device, though it is called like one.
        fs::write(root.path().join("video0"), "").unwrap();
        let host = Host {
            dev: root.path().to_owned(),
            sys: root.path().to_owned(),
        };
        assert!(host.find(|_| true).is_empty());
        for absent in ["usb:046d:0825", "card:Cam", "bus:usb-1"] {
            let error = host.resolve(&identity(absent).unwrap(), &[]).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Gone, "{error}");
            assert!(error.message.contains(absent), "{error}");
        }
        let error = Camera::open(&identity("/dev/no-such-camera").unwrap(), &[])
            .err()
            .unwrap();
        assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    }

    /// Cameras as the lab emulates them.
    fn plug(lab: &Lab, name: &str, format: PixelFormat, card: &str, bus: &str) -> lab::Camera {
        let spec = CameraSpec::new(CameraMode::new(format, 64, 48, 30)).named("uvcvideo", card, bus);
        lab.camera(name, spec, |_: &Shot, into: &mut [u8]| into.len())
    }

    #[test]
    fn a_camera_is_found_again_under_another_number() {
        let Ok(lab) = Lab::new().map_err(|why| eprintln!("SKIPPED: camera identities: {why}")) else {
            return;
        };
        let host = Host {
            dev: lab.folder().to_owned(),
            sys: lab.folder().to_owned(),
        };
        let yuyv = [FourCC::new(b"YUYV")];
        let left = plug(&lab, "video0", PixelFormat::Yuyv, "Twin", "usb-1");
        let _right = plug(&lab, "video1", PixelFormat::Yuyv, "Twin", "usb-2");
        let depth = plug(&lab, "video2", PixelFormat::Z16, "Deep", "usb-3");
        let _colour = plug(&lab, "video3", PixelFormat::Yuyv, "Deep", "usb-3");
        let resolve = |text: &str| host.resolve(&identity(text).unwrap(), &yuyv);
        assert_eq!(resolve("bus:usb-2").unwrap(), lab.path("video1"));
        assert_eq!(
            resolve("card:Deep").unwrap(),
            lab.path("video3"),
            "the one with colours"
        );
        let twins = resolve("card:Twin").unwrap_err();
        assert_eq!(twins.kind, ErrorKind::Misconfigured);
        assert!(
            twins.message.contains("names 2 cameras") && twins.message.contains("bus:"),
            "{twins}"
        );
        let found = host.find(|node| node.offers(&yuyv));
        let found: Vec<_> = found.iter().map(|(identity, _)| identity.to_string()).collect();
        assert_eq!(found, ["bus:usb-1", "bus:usb-2", "bus:usb-3"]);

        left.unplug();
        let gone = resolve("bus:usb-1").unwrap_err();
        assert_eq!(gone.kind, ErrorKind::Gone);
        assert!(gone.message.contains("Twin on usb-2"), "it says what is there: {gone}");
        assert_eq!(resolve("card:Twin").unwrap(), lab.path("video1"), "one is left");
        let _left = plug(&lab, "video9", PixelFormat::Yuyv, "Twin", "usb-1");
        assert_eq!(resolve("bus:usb-1").unwrap(), lab.path("video9"));

        depth.unplug();
        lab.deny("video3", true);
        let denied = resolve("bus:usb-3").unwrap_err();
        assert_eq!(denied.kind, ErrorKind::Denied, "{denied}");
    }
}
