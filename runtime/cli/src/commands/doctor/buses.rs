//! Where sensors hang: device nodes, and who may open them.

use super::Finding;
use rustix::fs::{Access, access};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A kind of device node.
struct Bus {
    name: &'static str,
    folder: &'static str,
    /// How its nodes begin and end.
    begin: &'static str,
    end: &'static str,
    /// What makes one appear.
    absent: &'static str,
}

const BUSES: &[Bus] = &[
    Bus {
        name: "video",
        folder: "/dev",
        begin: "video",
        end: "",
        absent: "plug a camera in; `sudo modprobe uvcvideo` loads the kernel's driver of USB cameras",
    },
    Bus {
        name: "audio",
        folder: "/dev/snd",
        begin: "pcm",
        end: "c",
        absent: "plug a microphone in; `sudo modprobe snd-usb-audio` loads the kernel's driver of USB microphones",
    },
    Bus {
        name: "i2c",
        folder: "/dev",
        begin: "i2c-",
        end: "",
        absent: "`sudo modprobe i2c-dev`; on a Raspberry Pi first `sudo raspi-config nonint do_i2c 0`",
    },
    Bus {
        name: "spi",
        folder: "/dev",
        begin: "spidev",
        end: "",
        absent: "on a Raspberry Pi `sudo raspi-config nonint do_spi 0`; on a Jetson `sudo /opt/nvidia/jetson-io/jetson-io.py`",
    },
    Bus {
        name: "iio",
        folder: "/dev",
        begin: "iio:device",
        end: "",
        absent: "load the kernel's driver of the chip (`ls /sys/bus/iio/devices` shows what it found)",
    },
];

impl Bus {
    fn has(&self, node: &Path) -> bool {
        let name = node.file_name().map(|n| n.to_string_lossy());
        node.parent() == Some(Path::new(self.folder))
            && name.is_some_and(|n| n.starts_with(self.begin) && n.ends_with(self.end))
    }

    fn nodes(&self) -> Vec<PathBuf> {
        let mut nodes: Vec<PathBuf> = fs::read_dir(self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| self.has(path))
            .collect();
        nodes.sort();
        nodes
    }

    fn check(&self, say_absent: bool) -> Vec<Finding> {
        let nodes = self.nodes();
        if nodes.is_empty() {
            if !say_absent {
                return Vec::new();
            }
            let found = format!("no {}/{}*{}", self.folder, self.begin, self.end);
            return vec![Finding::ok(self.name, found).remedied_by(format!("if a sensor needs it: {}", self.absent))];
        }
        let mut open = Vec::new();
        let mut findings = Vec::new();
        for node in &nodes {
            match denied(node) {
                None => open.push(node.display().to_string()),
                Some(remedy) => findings.push(
                    Finding::warning(self.name, format!("{}: this user may not open it", node.display()))
                        .remedied_by(remedy),
                ),
            }
        }
        if !open.is_empty() {
            findings.push(Finding::ok(self.name, open.join(" ")));
        }
        findings
    }
}

/// What every bus has to show; those that are not there only when asked for: a board's sensors tell what it misses.
pub fn check(say_absent: bool) -> Vec<Finding> {
    BUSES.iter().flat_map(|bus| bus.check(say_absent)).collect()
}

/// What makes a missing `node` appear.
pub fn absent(node: &Path) -> &'static str {
    let bus = BUSES.iter().find(|bus| bus.has(node));
    bus.map_or("plug it in; `sensebind devices` lists what is attached", |bus| {
        bus.absent
    })
}

/// What to do so that this user may read and write `node`; nothing where it may.
pub fn denied(node: &Path) -> Option<String> {
    if access(node, Access::READ_OK | Access::WRITE_OK).is_ok() {
        return None;
    }
    let metadata = fs::metadata(node).ok()?;
    let group_may = metadata.mode() & 0o060 == 0o060;
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let Some((group, members)) = group(&groups, metadata.gid()).filter(|(name, _)| group_may && *name != "root") else {
        let name = node.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
        let kernel_name = name.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default();
        return Some(format!(
            "let a group have it: echo 'KERNEL==\"{kernel_name}*\", GROUP=\"plugdev\", MODE=\"0660\"' | sudo tee \
             /etc/udev/rules.d/60-sensebind.rules && sudo udevadm control --reload && sudo udevadm trigger && sudo \
             usermod -aG plugdev $USER, then log in again"
        ));
    };
    let user = std::env::var("USER").unwrap_or_default();
    Some(if members.contains(&user.as_str()) {
        format!("{user} is in group {group}, but not in this session: log in again")
    } else {
        format!("sudo usermod -aG {group} $USER, then log in again")
    })
}

/// Name and members of the group `gid` in the text of `/etc/group`.
fn group(groups: &str, gid: u32) -> Option<(&str, Vec<&str>)> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id, members) = (fields.next()?, fields.nth(1)?, fields.next()?);
        (id.parse() == Ok(gid)).then(|| (name, members.split(',').collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_the_file_has_them() {
        let text = "root:x:0:\nnonsense\nvideo:x:44:ada,grace\ni2c:x:994:\n";
        assert_eq!(group(text, 44), Some(("video", vec!["ada", "grace"])));
        assert_eq!(group(text, 994), Some(("i2c", vec![""])));
        assert_eq!(group(text, 5), None);
    }

    #[test]
    fn a_node_belongs_to_its_bus() {
        let bus = |node: &str| BUSES.iter().find(|bus| bus.has(Path::new(node))).map(|bus| bus.name);
        assert_eq!(bus("/dev/video0"), Some("video"));
        assert_eq!(bus("/dev/snd/pcmC0D0c"), Some("audio"));
        assert_eq!(bus("/dev/snd/pcmC0D0p"), None);
        assert_eq!(bus("/dev/iio:device3"), Some("iio"));
        assert_eq!(bus("/dev/null"), None);
    }
}
