//! I2C and SPI as Linux gives them to programs, for the chip drivers of `sensebind-chips`.
//!
//! Over the files that `linux-embedded-hal` opens, not over its `I2cdev` and `SpidevDevice`: those allocate for every
//! transaction, and take a transfer that ended early for a whole one.

use embedded_hal::i2c::{self, I2c, NoAcknowledgeSource, SevenBitAddress};
use embedded_hal::spi::{self, SpiDevice};
use linux_embedded_hal::i2cdev::core::{I2CMessage, I2CTransfer};
use linux_embedded_hal::i2cdev::linux::{LinuxI2CDevice, LinuxI2CError, LinuxI2CMessage};
use linux_embedded_hal::spidev::{SpiModeFlags, Spidev, SpidevOptions, SpidevTransfer};
use rustix::io::Errno;
use sensebind_core::{Clock, ErrorKind, SourceError, Timestamp};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the kernel said about a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BusError(Errno);

impl BusError {
    /// The node, or what it hangs on, is no more: trying again is of no use.
    pub(crate) fn is_final(self) -> bool {
        matches!(
            self.0,
            Errno::NODEV | Errno::SHUTDOWN | Errno::NOTCONN | Errno::CONNABORTED | Errno::BADF
        )
    }

    /// More bytes at once than `spidev` is set to take: trying again is of no use.
    pub(crate) fn is_too_much(self) -> bool {
        self.0 == Errno::MSGSIZE
    }

    /// The I2C adapter takes no message of this length.
    pub(crate) fn is_too_long(self) -> bool {
        self.0 == Errno::OPNOTSUPP
    }

    /// A kernel driver has taken the chip.
    pub(crate) fn is_taken(self) -> bool {
        self.0 == Errno::BUSY
    }
}

impl From<io::Error> for BusError {
    fn from(error: io::Error) -> Self {
        Self(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

impl From<LinuxI2CError> for BusError {
    fn from(error: LinuxI2CError) -> Self {
        io::Error::from(error).into()
    }
}

/// In the words of the system: chip drivers print errors with `{:?}`.
impl fmt::Debug for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&io::Error::from(self.0), f)
    }
}

impl i2c::Error for BusError {
    fn kind(&self) -> i2c::ErrorKind {
        match self.0 {
            Errno::NXIO | Errno::REMOTEIO => i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Errno::AGAIN => i2c::ErrorKind::ArbitrationLoss,
            Errno::IO | Errno::TIMEDOUT | Errno::BUSY => i2c::ErrorKind::Bus,
            _ => i2c::ErrorKind::Other,
        }
    }
}

impl spi::Error for BusError {
    fn kind(&self) -> spi::ErrorKind {
        spi::ErrorKind::Other
    }
}

/// A chip's place, as a board names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// An I2C bus and the chip's 7-bit address.
    I2c {
        /// As in `/dev/i2c-1`.
        node: String,
        /// 7 bits.
        address: u8,
    },
    /// A SPI bus with one of its select lines.
    Spi {
        /// As in `/dev/spidev0.0`.
        node: String,
        /// Of the clock, hertz.
        speed_hz: u32,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I2c { node, address } => write!(f, "address {address:#04x} of {node}"),
            Self::Spi { node, .. } => f.write_str(node),
        }
    }
}

impl Place {
    /// What the engine is to do about `error`, which came while `doing`, and what a person can do.
    pub(crate) fn fault(&self, doing: &str, error: BusError) -> SourceError {
        let (kind, remedy) = self.verdict(error.0);
        SourceError::new(kind, format!("{self}: {doing}: {error:?}: {remedy}"))
    }

    fn verdict(&self, errno: Errno) -> (ErrorKind, String) {
        match (errno, self) {
            (Errno::NOENT, Self::I2c { node, .. }) => (
                ErrorKind::Gone,
                format!(
                    "there is no {node}: is the adapter plugged in, I2C enabled on this board and the module `i2c-dev` \
                     loaded (`sudo modprobe i2c-dev`)?"
                ),
            ),
            (Errno::NOENT, Self::Spi { node, .. }) => (
                ErrorKind::Gone,
                format!("there is no {node}: is SPI enabled on this board, with `spidev` bound to this select line?"),
            ),
            (Errno::NXIO | Errno::REMOTEIO, Self::I2c { node, address }) => {
                let bus = node.rsplit_once("i2c-").map_or("N", |(_, number)| number);
                (
                    ErrorKind::Gone,
                    format!(
                        "no chip answers at {address:#04x}: check supply and wiring (SDA, SCL, the address pin); \
                         `i2cdetect -y {bus}` shows who answers"
                    ),
                )
            }
            (Errno::ACCESS | Errno::PERM, _) => {
                let group = if matches!(self, Self::I2c { .. }) { "i2c" } else { "spi" };
                (
                    ErrorKind::Denied,
                    format!(
                        "its node belongs to the group `{group}`: run `sudo usermod -aG {group} $USER` and log in again"
                    ),
                )
            }
            (Errno::MSGSIZE, Self::Spi { .. }) => (
                ErrorKind::Misconfigured,
                "`spidev` takes fewer bytes at once than the chip sends: put `spidev.bufsiz=4096`, or more, on the \
                 kernel's command line (`cat /sys/module/spidev/parameters/bufsiz` shows what it is)"
                    .to_owned(),
            ),
            (Errno::NOTTY, _) => (
                ErrorKind::Misconfigured,
                "it is no node of such a bus: name the one the chip hangs on".to_owned(),
            ),
            (errno, _) if BusError(errno).is_final() => (ErrorKind::Gone, "was the adapter pulled?".to_owned()),
            _ => (
                ErrorKind::Reopen,
                "a passing fault of the bus, or bad wiring".to_owned(),
            ),
        }
    }
}

/// When the first transaction of several ended: what a chip said in it was so by then, however long the others took.
/// Clones show the same time.
#[derive(Debug, Clone)]
pub(crate) struct FirstEnd {
    clock: Arc<dyn Clock>,
    /// 0 before the first.
    ended_ns: Arc<AtomicU64>,
}

impl FirstEnd {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            clock: Arc::clone(clock),
            ended_ns: Arc::default(),
        }
    }

    /// The next transaction is the first.
    pub(crate) fn reset(&self) {
        self.ended_ns.store(0, Ordering::Relaxed);
    }

    /// When the first transaction since the reset ended; now, where there was none.
    pub(crate) fn at(&self) -> Timestamp {
        match self.ended_ns.load(Ordering::Relaxed) {
            0 => self.clock.now(),
            ended_ns => Timestamp::from_nanos(ended_ns),
        }
    }

    fn ended(&self) {
        if self.ended_ns.load(Ordering::Relaxed) == 0 {
            self.ended_ns.store(self.clock.now().as_nanos(), Ordering::Relaxed);
        }
    }
}

/// An I2C bus, for the chip at one address of it.
#[derive(Debug)]
pub(crate) struct I2cNode {
    device: LinuxI2CDevice,
    first_end: FirstEnd,
}

impl I2cNode {
    /// Opens `node`, for the chip at `address`: [`Errno::BUSY`] where a kernel driver has taken that chip.
    pub(crate) fn open(node: &str, address: u8, first_end: &FirstEnd) -> Result<Self, BusError> {
        Ok(Self {
            device: LinuxI2CDevice::new(node, u16::from(address))?,
            first_end: first_end.clone(),
        })
    }
}

impl i2c::ErrorType for I2cNode {
    type Error = BusError;
}

impl I2cNode {
    fn transfer(&mut self, messages: &mut [LinuxI2CMessage<'_>]) -> Result<(), BusError> {
        let transferred = self.device.transfer(messages)?;
        self.first_end.ended();
        // Drivers of adapters may stop half-way and say how far they came.
        if transferred as usize == messages.len() {
            Ok(())
        } else {
            Err(BusError(Errno::IO))
        }
    }
}

impl I2c for I2cNode {
    /// Addresses the chip that [`open`](Self::open) named, whatever `address` says.
    fn transaction(
        &mut self,
        _address: SevenBitAddress,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), Self::Error> {
        // Messages in one system call: repeated starts between.
        match operations {
            [one] => self.transfer(&mut [message(one)]),
            [one, two] => self.transfer(&mut [message(one), message(two)]),
            more => {
                let mut messages: Vec<_> = more.iter_mut().map(message).collect();
                self.transfer(&mut messages)
            }
        }
    }
}

fn message<'a>(operation: &'a mut i2c::Operation<'_>) -> LinuxI2CMessage<'a> {
    match operation {
        i2c::Operation::Read(into) => LinuxI2CMessage::read(into),
        i2c::Operation::Write(bytes) => LinuxI2CMessage::write(bytes),
    }
}

/// A chip on SPI.
pub(crate) struct SpiNode {
    device: Spidev,
    first_end: FirstEnd,
}

impl fmt::Debug for SpiNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpiNode").finish_non_exhaustive()
    }
}

impl SpiNode {
    /// Opens `node` in `mode`, eight bits a word.
    pub(crate) fn open(node: &str, speed_hz: u32, mode: SpiModeFlags, first_end: &FirstEnd) -> Result<Self, BusError> {
        let mut device = Spidev::open(node)?;
        let options = SpidevOptions::new()
            .bits_per_word(8)
            .max_speed_hz(speed_hz)
            .mode(mode)
            .build();
        device.configure(&options)?;
        Ok(Self {
            device,
            first_end: first_end.clone(),
        })
    }
}

impl spi::ErrorType for SpiNode {
    type Error = BusError;
}

impl SpiDevice for SpiNode {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), Self::Error> {
        // One system call: the select line stays low throughout.
        match operations {
            [one] => self.device.transfer(&mut transfer(one)?)?,
            [one, two] => self.device.transfer_multiple(&mut [transfer(one)?, transfer(two)?])?,
            more => {
                let mut transfers = more.iter_mut().map(transfer).collect::<Result<Vec<_>, _>>()?;
                self.device.transfer_multiple(&mut transfers)?;
            }
        }
        self.first_end.ended();
        Ok(())
    }
}

fn transfer<'a>(operation: &'a mut spi::Operation<'_, u8>) -> Result<SpidevTransfer<'a, 'a>, BusError> {
    Ok(match operation {
        spi::Operation::Read(into) => SpidevTransfer::read(into),
        spi::Operation::Write(bytes) => SpidevTransfer::write(bytes),
        spi::Operation::TransferInPlace(bytes) => SpidevTransfer::read_write_in_place(bytes),
        spi::Operation::Transfer(into, bytes) if into.len() == bytes.len() => SpidevTransfer::read_write(bytes, into),
        // No chip driver asks for halves of unequal length.
        spi::Operation::Transfer(..) => return Err(BusError(Errno::INVAL)),
        spi::Operation::DelayNs(ns) => SpidevTransfer::delay(u16::try_from(ns.div_ceil(1000)).unwrap_or(u16::MAX)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_remedy() {
        let i2c = Place::I2c {
            node: "/dev/i2c-7".to_owned(),
            address: 0x68,
        };
        let spi = Place::Spi {
            node: "/dev/spidev0.1".to_owned(),
            speed_hz: 1_000_000,
        };
        for (place, errno, kind, remedy) in [
            (&i2c, Errno::NOENT, ErrorKind::Gone, "modprobe i2c-dev"),
            (&i2c, Errno::NXIO, ErrorKind::Gone, "i2cdetect -y 7"),
            (&i2c, Errno::REMOTEIO, ErrorKind::Gone, "0x68"),
            (&i2c, Errno::NODEV, ErrorKind::Gone, "pulled"),
            (&i2c, Errno::ACCESS, ErrorKind::Denied, "usermod -aG i2c"),
            (&i2c, Errno::NOTTY, ErrorKind::Misconfigured, "no node of such a bus"),
            (&i2c, Errno::TIMEDOUT, ErrorKind::Reopen, "wiring"),
            (&spi, Errno::NOENT, ErrorKind::Gone, "spidev"),
            (&spi, Errno::SHUTDOWN, ErrorKind::Gone, "pulled"),
            (&spi, Errno::MSGSIZE, ErrorKind::Misconfigured, "spidev.bufsiz=4096"),
            (&spi, Errno::ACCESS, ErrorKind::Denied, "usermod -aG spi"),
        ] {
            let error = place.fault("reading", BusError(errno));
            assert_eq!(error.kind, kind, "{error}");
            assert!(
                error.message.contains(&place.to_string()) && error.message.contains(remedy),
                "{error}"
            );
        }
    }
}
