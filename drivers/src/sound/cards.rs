//! Sound cards as the kernel lists them, without opening any.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Where the kernel keeps the list (linux/Documentation/sound/designs/procfile.rst).
pub(crate) const PROC: &str = "/proc/asound";

/// A device of a card that records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaptureDevice {
    /// The card's id: of its kind, not of its place in the list, as in `PCH`.
    pub card: String,
    pub device: u32,
    /// What the driver calls it.
    pub name: String,
}

/// What can record, by the list in `proc`: none where there is no sound system.
pub(crate) fn capture_devices(proc: &Path) -> Vec<CaptureDevice> {
    let text = fs::read_to_string(proc.join("pcm")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            // 00-00: ALC295 Analog : ALC295 Analog : playback 1 : capture 1
            let (place, rest) = line.split_once(": ")?;
            let (card, device) = place.split_once('-')?;
            let fields: Vec<_> = rest.split(" : ").map(str::trim).collect();
            if !fields.iter().skip(1).any(|field| field.starts_with("capture")) {
                return None;
            }
            let card: u32 = card.parse().ok()?;
            let id = fs::read_to_string(proc.join(format!("card{card}/id"))).ok()?;
            Some(CaptureDevice {
                card: id.trim().to_owned(),
                device: device.parse().ok()?,
                name: fields.first().filter(|name| !name.is_empty())?.to_string(),
            })
        })
        .collect()
}

/// The place in the list, now, of the card whose id is `card`.
pub(crate) fn index(proc: &Path, card: &str) -> Option<u32> {
    // A link to its folder.
    let folder = fs::read_link(proc.join(card)).ok()?;
    folder.to_str()?.strip_prefix("card")?.parse().ok()
}

/// Whether this user may not open the control node, in folder `nodes`, of the card with this index; of any, without one.
/// (To open a node that records could wait until nobody else does.)
pub(crate) fn denied(nodes: &Path, index: Option<u32>) -> bool {
    let wanted = index.map_or("controlC".to_owned(), |index| format!("controlC{index}"));
    let Ok(entries) = fs::read_dir(nodes) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = name == wanted || (index.is_none() && name.starts_with(&wanted));
        ours && File::open(entry.path()).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_list() {
        let proc = tempfile::tempdir().unwrap();
        let path = proc.path();
        assert_eq!(capture_devices(path), []);
        for (index, id) in ["PCH", "C920"].iter().enumerate() {
            fs::create_dir(path.join(format!("card{index}"))).unwrap();
            fs::write(path.join(format!("card{index}/id")), format!("{id}\n")).unwrap();
            std::os::unix::fs::symlink(format!("card{index}"), path.join(id)).unwrap();
        }
        let list = "00-00: ALC295 Analog : ALC295 Analog : playback 1 : capture 1\n\
                    00-03: HDMI 0 : HDMI 0 : playback 1\n\
                    01-00: USB Audio : USB Audio : capture 1\n\
                    gibberish\n";
        fs::write(path.join("pcm"), list).unwrap();
        let device = |card: &str, name: &str| CaptureDevice {
            card: card.to_owned(),
            device: 0,
            name: name.to_owned(),
        };
        assert_eq!(
            capture_devices(path),
            [device("PCH", "ALC295 Analog"), device("C920", "USB Audio")]
        );
        assert_eq!(
            (index(path, "C920"), index(path, "Gone"), index(path, "pcm")),
            (Some(1), None, None)
        );
    }
}
