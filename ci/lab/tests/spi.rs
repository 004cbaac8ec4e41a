//! The emulated SPI device, seen by an unmodified linux-embedded-hal.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};

use embedded_hal::spi::{Operation, SpiDevice as _};
use linux_embedded_hal::SpidevDevice;
use linux_embedded_hal::spidev::{SpiModeFlags, Spidev, SpidevOptions, SpidevTransfer};
use sensebind_lab::bus::SpiChip;
use sensebind_lab::{Errno, Lab};

/// Answers each byte with its inverse, and remembers how long each chip-select period was.
#[derive(Debug, Default)]
struct Inverter {
    written: Vec<u8>,
    periods: Vec<usize>,
}

impl SpiChip for Inverter {
    fn transfer(&mut self, write: &[u8], read: &mut [u8]) {
        self.periods.push(write.len());
        self.written = write.to_vec();
        read.iter_mut().zip(write).for_each(|(to, from)| *to = !from);
    }
}

fn lab(test: &str) -> Option<(Lab, sensebind_lab::SpiDevice, Arc<Mutex<Inverter>>)> {
    let lab = Lab::new().map_err(|why| eprintln!("SKIPPED: {test}: {why}")).ok()?;
    let chip = Arc::new(Mutex::new(Inverter::default()));
    let spi = lab.spi("spidev0.0", Box::new(Arc::clone(&chip)));
    Some((lab, spi, chip))
}

fn errno(error: &std::io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

#[test]
fn operations_of_one_transaction_share_a_chip_select_period() {
    let Some((_lab, spi, chip)) = lab("spi transaction") else {
        return;
    };
    let mut client = SpidevDevice::open(spi.path()).unwrap();
    let mut read = [0; 3];
    let mut both = [1, 2];
    client
        .transaction(&mut [
            Operation::Write(&[0x75, 0x0f]),
            Operation::Read(&mut read),
            Operation::TransferInPlace(&mut both),
        ])
        .unwrap();
    assert_eq!(read, [0xff; 3], "nothing is sent while reading: zeros, inverted");
    assert_eq!(both, [0xfe, 0xfd]);
    let chip = chip.lock().unwrap();
    assert_eq!(chip.periods, [7]);
    assert_eq!(chip.written, [0x75, 0x0f, 0, 0, 0, 1, 2]);
}

#[test]
fn cs_change_ends_a_period() {
    let Some((_lab, spi, chip)) = lab("spi cs_change") else {
        return;
    };
    let client = Spidev::open(spi.path()).unwrap();
    let mut first = SpidevTransfer::write(&[1, 2, 3]);
    first.cs_change = 1;
    let mut transfers = [first, SpidevTransfer::write(&[4])];
    client.transfer_multiple(&mut transfers).unwrap();
    assert_eq!(chip.lock().unwrap().periods, [3, 1]);
}

#[test]
fn settings_are_kept_and_read_back() {
    let Some((_lab, spi, _)) = lab("spi settings") else {
        return;
    };
    let mut client = Spidev::open(spi.path()).unwrap();
    let options = SpidevOptions::new()
        .bits_per_word(8)
        .max_speed_hz(16_000_000)
        .mode(SpiModeFlags::SPI_MODE_3)
        .build();
    client.configure(&options).unwrap();
    let found = client.query_configuration().unwrap();
    assert_eq!(found.max_speed_hz, Some(16_000_000));
    assert_eq!(found.spi_mode, Some(SpiModeFlags::SPI_MODE_3));
    assert_eq!(found.bits_per_word, Some(8));
    assert_eq!((spi.mode(), spi.speed_hz()), (3, 16_000_000));
    let odd = SpidevOptions::new().bits_per_word(9).build();
    assert_eq!(errno(&client.configure(&odd).unwrap_err()), Some(Errno::EINVAL));
}

#[test]
fn a_message_may_carry_bufsiz_bytes_and_no_more() {
    let Some((_lab, spi, _)) = lab("spi limits") else {
        return;
    };
    let mut client = Spidev::open(spi.path()).unwrap();
    let send: Vec<u8> = (0..4096_u32).map(|at| (at * 7) as u8).collect();
    let mut read = vec![0; 4096];
    client
        .transfer(&mut SpidevTransfer::read_write(&send, &mut read))
        .unwrap();
    assert!(read.iter().zip(&send).all(|(read, sent)| *read == !sent));
    let mut read = vec![0; 2049];
    let mut again = vec![0; 2048];
    let mut two = [SpidevTransfer::read(&mut read), SpidevTransfer::read(&mut again)];
    assert_eq!(
        errno(&client.transfer_multiple(&mut two).unwrap_err()),
        Some(Errno::EMSGSIZE)
    );
    assert_eq!(errno(&client.write(&[0; 4097]).unwrap_err()), Some(Errno::EMSGSIZE));
    assert_eq!(client.write(&[0; 4096]).unwrap(), 4096);
    let mut few = [0; 5];
    assert_eq!(client.read(&mut few).unwrap(), 5);
    assert_eq!(few, [0xff; 5]);
    spi.set_buffer_bytes(65536);
    let mut much = vec![0; 3 * 3280];
    client.transfer(&mut SpidevTransfer::read(&mut much)).unwrap();
    assert!(much.iter().all(|byte| *byte == 0xff));
}

#[test]
fn failures_and_a_pulled_device_are_reported() {
    let Some((_lab, spi, _)) = lab("spi faults") else {
        return;
    };
    let client = Spidev::open(spi.path()).unwrap();
    let send = |client: &Spidev| client.transfer(&mut SpidevTransfer::write(&[1]));
    spi.fail_next(1);
    assert_eq!(errno(&send(&client).unwrap_err()), Some(Errno::EIO));
    send(&client).unwrap();
    spi.unplug();
    assert_eq!(errno(&send(&client).unwrap_err()), Some(Errno::ESHUTDOWN));
    assert!(!spi.path().exists());
    spi.replug();
    assert!(send(&client).is_err());
    send(&Spidev::open(spi.path()).unwrap()).unwrap();
}
