//! Which device a board means, in words that outlive a replug.

use super::device::{Node, Usb};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;

/// Which device a board means: a path, or what the device says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) enum Identity {
    Path(PathBuf),
    /// Vendor and product as four hexadecimal digits each.
    Usb {
        vendor: String,
        product: String,
        serial: Option<String>,
    },
    /// The name in `VIDIOC_QUERYCAP`.
    Card(String),
    /// Where it hangs, in `VIDIOC_QUERYCAP`: stays the same for one socket.
    Bus(String),
}

impl TryFrom<String> for Identity {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const FORMS: &str = "expected a path (/dev/video0, /dev/v4l/by-id/...), usb:VENDOR:PRODUCT or \
                             usb:VENDOR:PRODUCT:SERIAL (as lsusb gives them), card:NAME or bus:PLACE";
        let refuse = || format!("device \"{}\" is no identity: {FORMS}", text.escape_debug());
        if text.contains('\0') {
            return Err(refuse());
        }
        if text.starts_with('/') {
            return Ok(Self::Path(PathBuf::from(text)));
        }
        let (form, rest) = text.split_once(':').ok_or_else(refuse)?;
        match form {
            _ if rest.is_empty() => Err(refuse()),
            "card" => Ok(Self::Card(rest.to_owned())),
            "bus" => Ok(Self::Bus(rest.to_owned())),
            "usb" => {
                let id = |digits: &str| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let mut parts = rest.splitn(3, ':');
                match (parts.next(), parts.next(), parts.next()) {
                    (Some(vendor), Some(product), serial) if id(vendor) && id(product) && serial != Some("") => {
                        Ok(Self::Usb {
                            vendor: vendor.to_ascii_lowercase(),
                            product: product.to_ascii_lowercase(),
                            serial: serial.map(str::to_owned),
                        })
                    }
                    _ => Err(refuse()),
                }
            }
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Usb {
                vendor,
                product,
                serial: None,
            } => write!(f, "usb:{vendor}:{product}"),
            Self::Usb {
                vendor,
                product,
                serial: Some(serial),
            } => write!(f, "usb:{vendor}:{product}:{serial}"),
            Self::Card(name) => write!(f, "card:{name}"),
            Self::Bus(place) => write!(f, "bus:{place}"),
        }
    }
}

impl Identity {
    pub(super) fn names(&self, node: &Node) -> bool {
        match self {
            Self::Path(path) => node.path == *path,
            Self::Usb { .. } => node.usb.as_ref().is_some_and(|usb| self.names_usb(usb)),
            Self::Card(name) => node.card == *name,
            Self::Bus(place) => node.bus == *place,
        }
    }

    pub(super) fn names_usb(&self, usb: &Usb) -> bool {
        match self {
            Self::Usb {
                vendor,
                product,
                serial,
            } => *vendor == usb.vendor && *product == usb.product && (serial.is_none() || *serial == usb.serial),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> Result<Identity, String> {
        Identity::try_from(text.to_owned())
    }

    #[test]
    fn identities_read_as_they_print() {
        for text in [
            "/dev/video0",
            "/dev/v4l/by-id/usb-Cam-video-index0",
            "usb:1e4e:0100",
            "usb:1e4e:0100:80:1 a",
            "card:HD Webcam: left",
            "bus:usb-0000:00:14.0-2",
        ] {
            assert_eq!(identity(text).unwrap().to_string(), text);
        }
        assert_eq!(identity("usb:1E4E:0100"), identity("usb:1e4e:0100"));
        for bad in [
            "",
            "video0",
            "usb:",
            "usb:1e4e",
            "usb:1e4e:100",
            "usb:1e4e:0100:",
            "usb:xxxx:0100",
            "card:",
            "x:y",
            "/d\0",
        ] {
            let error = identity(bad).unwrap_err();
            assert!(
                error.contains("expected a path") && error.contains("card:NAME"),
                "{error}"
            );
        }
    }
}
