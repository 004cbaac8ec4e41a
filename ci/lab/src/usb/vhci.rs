//! Plugging emulated devices into the kernel's virtual host controller `vhci_hcd`, and pulling them out.
//!
//! The controller speaks USB/IP over a socket that somebody hands it: here one end of a pair, so there is no network.
//! Message layouts: the kernel's `Documentation/usb/usbip_protocol.rst`.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::device::{self, Device, Setup};
use crate::guest;

const CONTROLLER: &str = "/sys/devices/platform/vhci_hcd.0";
/// How long the kernel may take to enumerate a device, or to let go of one that was pulled.
const PATIENCE: Duration = Duration::from_secs(20);

const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const SUBMIT_ANSWER: u32 = 3;
const UNLINK_ANSWER: u32 = 4;
/// Every message opens with this many bytes.
const HEADER: usize = 48;

/// `-EPIPE`: how USB/IP says that the endpoint stalled.
const STALLED: i32 = -32;
/// `-ECONNRESET`: an unlinked transfer was still waiting.
const UNLINKED: i32 = -104;

/// A device that is plugged in. Pulled when dropped.
pub struct Cable<D: Device + 'static> {
    port: u8,
    socket: UnixStream,
    server: Option<JoinHandle<D>>,
}

impl<D: Device> fmt::Debug for Cable<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cable")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Plugs `device` into `port` (0 to 7, high speed) and loads the modules that drive it. Waits for whatever was in the
/// port to be gone, not for the new device: [`Cable::node`] does.
///
/// # Errors
/// Where there is no `vhci_hcd` (this is not the virtual machine), or where the port's last device is not let go,
/// which an I2C adapter is only when nobody has its node open any more.
pub fn plug<D: Device + 'static>(port: u8, device: D) -> io::Result<Cable<D>> {
    const HIGH_SPEED: u8 = 3;
    guest::load_module("vhci-hcd", &[])?;
    for module in device.kernel_modules() {
        guest::load_module(module, &[])?;
    }
    let place = sysfs_of(port)?;
    guest::wait_for(PATIENCE, || (port_is_free(port) && !place.exists()).then_some(())).ok_or_else(|| {
        io::Error::other(format!(
            "USB port {port} is still taken: {} or its line in {CONTROLLER}/status has not gone; is a node of the \
             last device open?",
            place.display()
        ))
    })?;

    let (ours, kernels) = UnixStream::pair()?;
    let line = format!(
        "{port} {} {} {HIGH_SPEED}",
        kernels.as_raw_fd(),
        0x1_0000 + u32::from(port)
    );
    fs::write(Path::new(CONTROLLER).join("attach"), line)?;
    drop(kernels);
    let socket = ours.try_clone()?;
    let server = std::thread::Builder::new()
        .name(format!("usb-{port}"))
        .spawn(move || Server::new(ours, device).run())?;
    Ok(Cable {
        port,
        socket,
        server: Some(server),
    })
}

impl<D: Device> Cable<D> {
    /// The device's folder in sysfs, whether or not it is enumerated yet.
    ///
    /// # Errors
    /// Where the controller's root hub cannot be found.
    pub fn sysfs(&self) -> io::Result<PathBuf> {
        sysfs_of(self.port)
    }

    /// The node a driver made for the device, such as `/dev/video1` for `video`; the lowest where there are several.
    /// Waits for it.
    ///
    /// # Errors
    /// Where no such node comes within 20 s.
    pub fn node(&self, prefix: &str) -> io::Result<PathBuf> {
        guest::node_below(&self.sysfs()?, prefix, PATIENCE)
    }

    /// Pulls the cable: the kernel finds its end of the socket closed. Does not wait for what it does then.
    ///
    /// # Errors
    /// Where the device's thread has died.
    pub fn pull(mut self) -> io::Result<D> {
        self.close()
            .ok_or_else(|| io::Error::other("the emulated device's thread has panicked"))
    }

    fn close(&mut self) -> Option<D> {
        // An error says that the kernel closed first, which is as good.
        let _ = self.socket.shutdown(Shutdown::Both);
        self.server.take()?.join().ok()
    }
}

impl<D: Device> Drop for Cable<D> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where the device in `port` stands below the high-speed root hub, whose ports count from 1.
fn sysfs_of(port: u8) -> io::Result<PathBuf> {
    for entry in fs::read_dir(CONTROLLER)? {
        let hub = entry?.path();
        let name = hub.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(bus) = name.strip_prefix("usb")
            && fs::read_to_string(hub.join("speed")).is_ok_and(|speed| speed.trim() == "480")
        {
            return Ok(hub.join(format!("{bus}-{}", u32::from(port) + 1)));
        }
    }
    Err(io::Error::other(format!("no high-speed root hub below {CONTROLLER}")))
}

/// `status` has a line per port: hub, port, state and more. State 4 is a port without a socket.
fn port_is_free(port: u8) -> bool {
    let text = fs::read_to_string(Path::new(CONTROLLER).join("status")).unwrap_or_default();
    text.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("hs")
            && words.next().and_then(|word| word.parse().ok()) == Some(port)
            && words.next() == Some("004")
    })
}

/// The device's end of the socket: answers the controller until one of them closes.
struct Server<D> {
    socket: UnixStream,
    device: D,
    /// Bulk transfers that wait for data: sequence number and length.
    waiting: VecDeque<(u32, usize)>,
    payload: Vec<u8>,
    /// Bytes of `payload` already handed over, or nothing once its end was too.
    sent: Option<usize>,
    due: Option<Instant>,
}

impl<D: Device> Server<D> {
    fn new(socket: UnixStream, device: D) -> Self {
        Self {
            socket,
            device,
            waiting: VecDeque::new(),
            payload: Vec::new(),
            sent: None,
            due: None,
        }
    }

    /// An error here is the cable being pulled, from either end.
    fn run(mut self) -> D {
        while self.turn().is_ok() {}
        self.device
    }

    fn turn(&mut self) -> io::Result<()> {
        self.stream()?;
        let until = self.due.filter(|_| !self.waiting.is_empty());
        let timeout = until.map(|due| {
            let left = due.saturating_duration_since(now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let mut sources = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut sources, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(()),
            Ok(_) => self.message(),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes one message from the controller.
    fn message(&mut self) -> io::Result<()> {
        let mut header = [0; HEADER];
        self.socket.read_exact(&mut header)?;
        let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (sequence, to_host, endpoint) = (word(4), word(12) == 1, word(16));
        match word(0) {
            SUBMIT => {
                let length = usize::try_from(word(24)).map_err(io::Error::other)?;
                let mut data = vec![0; if to_host { 0 } else { length }];
                self.socket.read_exact(&mut data)?;
                if endpoint != 0 {
                    self.waiting.push_back((sequence, length));
                    return Ok(());
                }
                let mut setup = [0; 8];
                setup.copy_from_slice(&header[40..]);
                match device::control(&mut self.device, Setup::from_bytes(setup), &data) {
                    Ok(answer) if to_host => self.answer(sequence, 0, answer.len(), &answer),
                    Ok(_) => self.answer(sequence, 0, length, &[]),
                    Err(device::Stall) => self.answer(sequence, STALLED, 0, &[]),
                }
            }
            UNLINK => {
                let wanted = word(20);
                let before = self.waiting.len();
                self.waiting.retain(|(waiting, _)| *waiting != wanted);
                // One that is no longer waiting was answered already, which is how status 0 is read.
                let status = if self.waiting.len() < before { UNLINKED } else { 0 };
                self.socket.write_all(&message(UNLINK_ANSWER, sequence, status, 0))
            }
            other => Err(io::Error::other(format!(
                "no USB/IP message that a device takes: {other}"
            ))),
        }
    }

    fn answer(&mut self, sequence: u32, status: i32, length: usize, data: &[u8]) -> io::Result<()> {
        let length = u32::try_from(length).map_err(io::Error::other)?;
        let mut bytes = message(SUBMIT_ANSWER, sequence, status, length);
        bytes.extend(data);
        self.socket.write_all(&bytes)
    }

    /// Hands payloads to the transfers that wait for them, as far as their time has come.
    fn stream(&mut self) -> io::Result<()> {
        let Some(period) = self.device.stream_period() else {
            self.due = None;
            self.sent = None;
            return Ok(());
        };
        let mut due = *self.due.get_or_insert_with(now);
        while let Some(&(sequence, room)) = self.waiting.front() {
            let sent = match self.sent {
                Some(sent) => sent,
                None if due > now() => break,
                None => {
                    // A machine that was asleep for long does not owe every frame since.
                    due = (due + period).max(now().checked_sub(Duration::from_secs(1)).unwrap_or(due));
                    self.payload.clear();
                    self.device.payload(&mut self.payload);
                    if self.payload.is_empty() {
                        continue;
                    }
                    0
                }
            };
            let end = self.payload.len().min(sent + room);
            let piece = self.payload[sent..end].to_vec();
            self.waiting.pop_front();
            self.answer(sequence, 0, piece.len(), &piece)?;
            // The host takes a short packet, or the length agreed upon, for the payload's end.
            let ended = piece.len() < room || end == self.device.payload_limit();
            self.sent = (!ended).then_some(end);
        }
        self.due = Some(due);
        Ok(())
    }
}

/// The part of a message that both kinds of answer share, padded to its full length.
fn message(command: u32, sequence: u32, status: i32, length: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend(command.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0; 12]);
    bytes.extend(status.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.resize(HEADER, 0);
    bytes
}

#[expect(
    clippy::disallowed_methods,
    reason = "an emulated camera keeps its own time, as a real one does"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::uvc::{Camera, Mode, Pixels};

    const IN: u32 = 1;
    const OUT: u32 = 0;
    const GET_CONFIGURATION: [u8; 8] = [0x80, 6, 0, 2, 0, 0, 0xff, 0x0f];
    const COMMIT: [u8; 8] = [0x21, 1, 0, 2, 1, 0, 26, 0];

    /// The controller's end of the socket.
    struct Controller {
        socket: UnixStream,
        server: JoinHandle<Camera>,
    }

    impl Controller {
        fn new() -> Self {
            let modes = vec![
                Mode::new(Pixels::Yuyv, 8, 6, 1000),
                Mode::new(Pixels::Mjpg, 8, 6, 1000),
                Mode::new(Pixels::Yuyv, 4, 2, 1000),
            ];
            let camera = Camera::new("test", modes, |mode, number, frame| {
                frame.resize(mode.frame_bytes(), number.to_le_bytes()[0]);
            });
            let (socket, devices) = UnixStream::pair().unwrap();
            let server = std::thread::spawn(move || Server::new(devices, camera).run());
            Self { socket, server }
        }

        fn send(&mut self, command: u32, sequence: u32, ends: [u32; 2], words: [u32; 2], setup: [u8; 8], data: &[u8]) {
            let mut bytes = Vec::new();
            for word in [command, sequence, 0, ends[0], ends[1], words[0], words[1], 0, 0, 0] {
                bytes.extend(word.to_be_bytes());
            }
            bytes.extend(setup);
            bytes.extend(data);
            self.socket.write_all(&bytes).unwrap();
        }

        /// Command, sequence number, status and length of the next answer.
        fn answer(&mut self) -> (u32, u32, i32, usize) {
            let mut header = [0; HEADER];
            self.socket.read_exact(&mut header).unwrap();
            let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
            let length = usize::try_from(word(24)).unwrap();
            (word(0), word(4), word(20).cast_signed(), length)
        }

        fn bytes(&mut self, length: usize) -> Vec<u8> {
            let mut bytes = vec![0; length];
            self.socket.read_exact(&mut bytes).unwrap();
            bytes
        }
    }

    #[test]
    fn descriptors_fill_the_configuration_exactly() {
        let mut controller = Controller::new();
        controller.send(SUBMIT, 1, [IN, 0], [0, 0xfff], GET_CONFIGURATION, &[]);
        let (_, _, status, length) = controller.answer();
        assert_eq!(status, 0);
        let bytes = controller.bytes(length);
        assert_eq!(usize::from(u16::from_le_bytes([bytes[2], bytes[3]])), length);
        let mut rest = &bytes[..];
        let mut frames = 0;
        while !rest.is_empty() {
            let (descriptor, after) = rest.split_at(usize::from(rest[0]));
            frames += usize::from(descriptor[1] == 0x24 && matches!(descriptor[2], 5 | 7) && descriptor.len() == 30);
            rest = after;
        }
        assert_eq!(frames, 3);
    }

    #[test]
    fn unknown_requests_stall() {
        let mut controller = Controller::new();
        controller.send(SUBMIT, 1, [IN, 0], [0, 8], [0xc0, 0x55, 0, 0, 0, 0, 8, 0], &[]);
        assert_eq!(controller.answer(), (SUBMIT_ANSWER, 1, STALLED, 0));
    }

    #[test]
    fn frames_flow_once_committed_and_end_with_a_short_transfer() {
        let mut controller = Controller::new();
        controller.send(SUBMIT, 1, [IN, 1], [0, 64], [0; 8], &[]);
        controller.send(SUBMIT, 2, [IN, 1], [0, 64], [0; 8], &[]);
        let mut commit = [0; 26];
        commit[2..4].copy_from_slice(&[1, 1]);
        controller.send(SUBMIT, 3, [OUT, 0], [0, 26], COMMIT, &commit);
        assert_eq!(controller.answer(), (SUBMIT_ANSWER, 3, 0, 26));
        // A header of two bytes and 8 x 6 pixels of two bytes: 98 in all.
        for (sequence, length) in [(1, 64), (2, 34)] {
            assert_eq!(controller.answer(), (SUBMIT_ANSWER, sequence, 0, length));
            assert!(controller.bytes(length)[2..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn an_unlinked_transfer_is_never_answered_and_an_answered_one_never_unlinked() {
        let mut controller = Controller::new();
        controller.send(SUBMIT, 1, [IN, 1], [0, 64], [0; 8], &[]);
        for (sequence, status) in [(2, UNLINKED), (3, 0)] {
            controller.send(UNLINK, sequence, [OUT, 0], [1, 0], [0; 8], &[]);
            assert_eq!(controller.answer(), (UNLINK_ANSWER, sequence, status, 0));
        }
    }

    #[test]
    fn a_closed_socket_gives_the_device_back() {
        let controller = Controller::new();
        drop(controller.socket);
        controller.server.join().unwrap();
    }
}
