//! The control bus: one command at a time through registers on I2C.
//!
//! FLIR "Lepton Software Interface Description Document (IDD)", 110-0144-04 rev 303, sections 2.1 (registers and
//! protocol) and 3.2 (errors). What can be asked for is in `commands.rs`. All registers are words of 16 bits, high byte first; values of 32 bits have
//! their low word first.

use core::fmt;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

/// The camera's only address.
pub const ADDRESS: u8 = 0x2A;
/// Longest a command is waited for. A flat-field correction, the slowest, takes less than two seconds.
pub const BUSY_LIMIT_MS: u32 = 5000;

const STATUS: u16 = 0x0002;
const COMMAND: u16 = 0x0004;
const DATA_LENGTH: u16 = 0x0006;
const DATA: u16 = 0x0008;
/// Words in the data registers.
pub(super) const DATA_WORDS: usize = 16;

const STATUS_BUSY: u16 = 1 << 0;
/// Boot mode and boot status: both set once the camera runs.
const STATUS_BOOTED: u16 = 0b110;

const SET: u16 = 1;

/// What can go wrong on the control bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CciError<E> {
    /// The bus failed, or no camera answers at 0x2A.
    Bus(E),
    /// The camera did not finish booting.
    NotBooted {
        /// Its status register.
        status: u16,
    },
    /// The camera stayed busy for [`BUSY_LIMIT_MS`].
    Busy {
        /// The command it did not finish.
        command: u16,
    },
    /// The camera refused a command.
    Refused {
        /// The command.
        command: u16,
        /// Its error code (IDD, section 3.2).
        code: i8,
    },
    /// The camera answered with something the IDD does not know, or kept another value than the one set.
    Answer {
        /// The command.
        command: u16,
        /// What was expected: the value set, or the largest one known.
        expected: u32,
        /// What came.
        found: u32,
    },
}

impl<E: fmt::Debug> fmt::Display for CciError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(error) => write!(f, "Lepton: the I2C bus failed ({error:?}): check wiring, address 0x2a"),
            Self::NotBooted { status } => write!(
                f,
                "Lepton: not booted (status {status:#06x}, expected bits 1 and 2 set): check its supply, clock and reset"
            ),
            Self::Busy { command } => write!(
                f,
                "Lepton: still busy with command {command:#06x} after {BUSY_LIMIT_MS} ms: reset the camera"
            ),
            Self::Refused { command, code } => {
                let reason = match code {
                    -2 => "not ready",
                    -3 => "out of range",
                    -4 => "checksum",
                    -6 => "wrong data size",
                    -7 | -8 => "this model does not have it",
                    -9 => "data out of range",
                    -11 => "not allowed",
                    _ => "see the IDD, section 3.2",
                };
                write!(f, "Lepton: refused command {command:#06x} with {code} ({reason})")
            }
            Self::Answer {
                command,
                expected,
                found,
            } => write!(
                f,
                "Lepton: command {command:#06x} answered {found}, expected {expected}: is this camera's firmware newer?"
            ),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for CciError<E> {}

/// The control side of a Lepton. Every method blocks until the camera has finished, at most [`BUSY_LIMIT_MS`], looking
/// once a millisecond.
#[derive(Debug)]
pub struct Cci<I2C> {
    i2c: I2C,
}

impl<I2C: I2c> Cci<I2C> {
    /// Takes the bus; sends nothing.
    #[must_use]
    pub fn new(i2c: I2C) -> Self {
        Self { i2c }
    }

    /// Gives the bus back.
    pub fn release(self) -> I2C {
        self.i2c
    }

    /// Waits until the camera has booted and is idle.
    ///
    /// # Errors
    /// [`CciError::NotBooted`] or [`CciError::Busy`] after [`BUSY_LIMIT_MS`]; [`CciError::Bus`] at once.
    pub fn wait_ready(&mut self, delay: &mut impl DelayNs) -> Result<(), CciError<I2C::Error>> {
        self.wait(0, delay).map(|_| ())
    }

    pub(super) fn get_flag(&mut self, command: u16, delay: &mut impl DelayNs) -> Result<bool, CciError<I2C::Error>> {
        match self.get_long(command, delay)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(CciError::Answer {
                command,
                expected: 1,
                found,
            }),
        }
    }

    pub(super) fn get_long(&mut self, command: u16, delay: &mut impl DelayNs) -> Result<u32, CciError<I2C::Error>> {
        let mut words = [0; 2];
        self.get(command, &mut words, delay)?;
        Ok(long(words))
    }

    /// Sets a value and reads it back: some settings are accepted and not kept.
    pub(super) fn set_long(
        &mut self,
        command: u16,
        value: u32,
        delay: &mut impl DelayNs,
    ) -> Result<(), CciError<I2C::Error>> {
        self.set(command, &[value as u16, (value >> 16) as u16], delay)?;
        let found = self.get_long(command, delay)?;
        if found != value {
            return Err(CciError::Answer {
                command,
                expected: value,
                found,
            });
        }
        Ok(())
    }

    pub(super) fn get(
        &mut self,
        command: u16,
        words: &mut [u16],
        delay: &mut impl DelayNs,
    ) -> Result<(), CciError<I2C::Error>> {
        self.command(command, words.len() as u16, delay)?;
        let mut bytes = [0; 2 * DATA_WORDS];
        let bytes = &mut bytes[..2 * words.len()];
        self.i2c
            .write_read(ADDRESS, &DATA.to_be_bytes(), bytes)
            .map_err(CciError::Bus)?;
        for (word, pair) in words.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *word = u16::from_be_bytes(*pair);
        }
        Ok(())
    }

    pub(super) fn set(
        &mut self,
        command: u16,
        words: &[u16],
        delay: &mut impl DelayNs,
    ) -> Result<(), CciError<I2C::Error>> {
        self.wait(command | SET, delay)?;
        let mut bytes = [0; 2 + 2 * DATA_WORDS];
        let bytes = &mut bytes[..2 + 2 * words.len()];
        for (pair, word) in bytes.as_chunks_mut::<2>().0.iter_mut().zip([DATA].iter().chain(words)) {
            *pair = word.to_be_bytes();
        }
        self.i2c.write(ADDRESS, bytes).map_err(CciError::Bus)?;
        self.command(command | SET, words.len() as u16, delay)
    }

    /// Runs a command with `length` words of data and waits for its end.
    pub(super) fn command(
        &mut self,
        command: u16,
        length: u16,
        delay: &mut impl DelayNs,
    ) -> Result<(), CciError<I2C::Error>> {
        self.wait(command, delay)?;
        self.write_register(DATA_LENGTH, length)?;
        self.write_register(COMMAND, command)?;
        let status = self.wait(command, delay)?;
        match (status >> 8) as i8 {
            0 => Ok(()),
            code => Err(CciError::Refused { command, code }),
        }
    }

    fn wait(&mut self, command: u16, delay: &mut impl DelayNs) -> Result<u16, CciError<I2C::Error>> {
        let mut status = 0;
        for _ in 0..BUSY_LIMIT_MS {
            let mut bytes = [0; 2];
            self.i2c
                .write_read(ADDRESS, &STATUS.to_be_bytes(), &mut bytes)
                .map_err(CciError::Bus)?;
            status = u16::from_be_bytes(bytes);
            if status & STATUS_BOOTED == STATUS_BOOTED && status & STATUS_BUSY == 0 {
                return Ok(status);
            }
            delay.delay_ms(1);
        }
        Err(if status & STATUS_BOOTED == STATUS_BOOTED {
            CciError::Busy { command }
        } else {
            CciError::NotBooted { status }
        })
    }

    fn write_register(&mut self, register: u16, value: u16) -> Result<(), CciError<I2C::Error>> {
        let [a, b] = register.to_be_bytes();
        let [c, d] = value.to_be_bytes();
        self.i2c.write(ADDRESS, &[a, b, c, d]).map_err(CciError::Bus)
    }
}

pub(super) fn long(words: [u16; 2]) -> u32 {
    u32::from(words[0]) | u32::from(words[1]) << 16
}
