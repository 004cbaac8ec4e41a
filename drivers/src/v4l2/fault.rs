//! What an error number of a video node means for the engine.

use rustix::io::Errno;
use sensebind_core::{ErrorKind, SourceError};
use std::io;

/// Whether `error` says that the device, or what served it, is not there any more.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NODEV | Errno::NXIO | Errno::NOENT | Errno::NOTCONN | Errno::CONNABORTED)
    )
}

/// The error of `doing` something with the node `at`.
pub(super) fn fault(at: &str, doing: &str, error: &io::Error) -> SourceError {
    let (kind, what) = match Errno::from_io_error(error) {
        _ if is_gone(error) => (ErrorKind::Gone, "is it plugged in?".to_owned()),
        Some(Errno::ACCESS | Errno::PERM) => (
            ErrorKind::Denied,
            "video devices belong to the group `video`: run `sudo usermod -aG video $USER` and log in again".to_owned(),
        ),
        Some(Errno::BUSY) => (
            ErrorKind::Reopen,
            format!("another program holds it: `fuser -v {at}` says which"),
        ),
        Some(Errno::NOSPC) => (
            ErrorKind::Reopen,
            "its USB bus has not enough bandwidth left: a smaller size or rate, MJPG, or another USB controller"
                .to_owned(),
        ),
        Some(Errno::NOTTY) => (
            ErrorKind::Misconfigured,
            "it is no V4L2 capture device: `sensebind devices` lists those that are".to_owned(),
        ),
        _ => (
            ErrorKind::Reopen,
            "a passing fault, or a fault of its driver".to_owned(),
        ),
    };
    SourceError::new(kind, format!("{at}: {doing}: {error}; {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_remedy() {
        for (errno, kind, remedy) in [
            (Errno::NODEV, ErrorKind::Gone, "plugged in"),
            (Errno::NOENT, ErrorKind::Gone, "plugged in"),
            (Errno::ACCESS, ErrorKind::Denied, "usermod -aG video"),
            (Errno::BUSY, ErrorKind::Reopen, "fuser -v /dev/video7"),
            (Errno::NOSPC, ErrorKind::Reopen, "bandwidth"),
            (Errno::NOTTY, ErrorKind::Misconfigured, "sensebind devices"),
            (Errno::IO, ErrorKind::Reopen, "passing fault"),
        ] {
            let error = fault(
                "/dev/video7",
                "streaming",
                &io::Error::from_raw_os_error(errno.raw_os_error()),
            );
            assert_eq!(error.kind, kind, "{error}");
            assert!(
                error.message.starts_with("/dev/video7: streaming: ") && error.message.contains(remedy),
                "{error}"
            );
        }
    }
}
