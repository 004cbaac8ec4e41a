//! What goes over the wires, transaction by transaction, and what given bytes mean: from the data sheets, by hand.

use embedded_hal_mock::eh1::delay::NoopDelay;
use embedded_hal_mock::eh1::i2c::{Mock as I2cMock, Transaction as I2c};
use embedded_hal_mock::eh1::spi::{Mock as SpiMock, Transaction as Spi};
use sensebind_chips::imu::{
    DEGREE_RAD, ImuChip, STANDARD_GRAVITY_M_S2, Sample, Setting, bmi160::Bmi160, icm20948::Icm20948,
    icm42688::Icm42688, lsm6dsox::Lsm6dsox, mpu6050::Mpu6050,
};
use sensebind_chips::registers::{I2cRegisters, SpiRegisters};

const SETTING: Setting = Setting {
    rate_hz: 200.0,
    acceleration_range_g: 4,
    angular_rate_range_dps: 500,
};

fn close(found: [f32; 3], expected: [f32; 3]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= expected.abs() * 1e-6, "{found} {expected}");
    }
}

fn i2c_write(register: u8, value: u8) -> I2c {
    I2c::write(0x68, vec![register, value])
}

fn i2c_read(register: u8, bytes: &[u8]) -> I2c {
    I2c::write_read(0x68, vec![register], bytes.to_vec())
}

#[test]
fn mpu6050_on_i2c() {
    let mut bus = I2cMock::new(&[
        i2c_read(0x75, &[0x68]),
        i2c_write(0x6b, 0x80),
        i2c_write(0x6b, 0x01),
        i2c_write(0x6a, 0x00),
        i2c_write(0x6c, 0x00),
        i2c_read(0x6b, &[0x01]),
        i2c_write(0x1a, 2),
        i2c_write(0x19, 4),
        i2c_write(0x1b, 1 << 3),
        i2c_write(0x1c, 1 << 3),
        i2c_write(0x38, 0x10),
        i2c_write(0x23, 0x78),
        i2c_write(0x6a, 0x00),
        i2c_write(0x6a, 0x04),
        i2c_read(0x3a, &[0x11]),
        i2c_write(0x6a, 0x40),
        // One sample and half of the next: 1 g is 8192 counts, 100 °/s is 6550.
        i2c_read(0x72, &[0, 18]),
        i2c_read(
            0x74,
            &[0x20, 0x00, 0xe0, 0x00, 0x40, 0x00, 0x19, 0x96, 0xe6, 0x6a, 0x00, 0x00],
        ),
        i2c_read(0x3a, &[0x01]),
    ]);
    let mut chip = Mpu6050::new(I2cRegisters::new(bus.clone(), 0x68));
    let running = chip.configure(&SETTING, &mut NoopDelay::new()).unwrap();
    assert_eq!(running.rate_hz, 200.0);
    assert_eq!((running.acceleration_range_g, running.angular_rate_range_dps), (4, 500));
    assert_eq!(running.fifo_samples, 85);
    let mut samples = [Sample::default(); 4];
    assert_eq!(chip.read_fifo(&mut samples).unwrap().samples, 1);
    let g = STANDARD_GRAVITY_M_S2;
    close(samples[0].acceleration_m_s2, [g, -g, 2.0 * g]);
    close(
        samples[0].angular_rate_rad_s,
        [100.0 * DEGREE_RAD, -100.0 * DEGREE_RAD, 0.0],
    );
    bus.done();
}

fn spi_write(register: u8, value: u8) -> [Spi<u8>; 3] {
    [
        Spi::transaction_start(),
        Spi::write_vec(vec![register, value]),
        Spi::transaction_end(),
    ]
}

fn spi_read(register: u8, bytes: &[u8]) -> [Spi<u8>; 4] {
    [
        Spi::transaction_start(),
        Spi::write_vec(vec![register | 0x80]),
        Spi::read_vec(bytes.to_vec()),
        Spi::transaction_end(),
    ]
}

#[test]
fn mpu9250_on_spi_keeps_i2c_off() {
    let expected = [
        spi_read(0x75, &[0x71]).to_vec(),
        spi_write(0x6b, 0x80).to_vec(),
        spi_write(0x68, 0x07).to_vec(),
        spi_write(0x6b, 0x01).to_vec(),
        spi_write(0x6a, 0x10).to_vec(),
        spi_write(0x6c, 0x00).to_vec(),
        spi_read(0x6b, &[0x01]).to_vec(),
        spi_write(0x1a, 2).to_vec(),
        spi_write(0x19, 4).to_vec(),
        spi_write(0x1b, 1 << 3).to_vec(),
        spi_write(0x1c, 1 << 3).to_vec(),
        spi_write(0x1d, 2).to_vec(),
        spi_write(0x38, 0x10).to_vec(),
        spi_write(0x23, 0x78).to_vec(),
        spi_write(0x6a, 0x10).to_vec(),
        spi_write(0x6a, 0x14).to_vec(),
        spi_read(0x3a, &[0x01]).to_vec(),
        spi_write(0x6a, 0x50).to_vec(),
    ]
    .concat();
    let mut device = SpiMock::new(&expected);
    let mut chip = Mpu6050::new(SpiRegisters::new(device.clone()));
    let running = chip.configure(&SETTING, &mut NoopDelay::new()).unwrap();
    assert_eq!(running.fifo_samples, 42);
    device.done();
}

#[test]
fn bmi160_on_spi() {
    let frame = [
        // Gyroscope first: 100 °/s is 6560 counts at 500 °/s; 1 g is 8192 at 4 g. Least significant byte first.
        0x8c, 0xa0, 0x19, 0x60, 0xe6, 0x00, 0x00, 0x00, 0x20, 0x00, 0xe0, 0x00, 0x40,
    ];
    // The second sample is that of tick 0x1280: 200 Hz is every 128 ticks, the sensor time is 0x12a5.
    let fifo = [frame.as_slice(), &frame, &[0x44, 0xa5, 0x12, 0x00]].concat();
    let expected = [
        spi_read(0x7f, &[0x00]).to_vec(),
        spi_read(0x00, &[0xd1]).to_vec(),
        spi_write(0x7e, 0xb6).to_vec(),
        spi_read(0x7f, &[0x00]).to_vec(),
        spi_write(0x7e, 0x11).to_vec(),
        spi_write(0x7e, 0x15).to_vec(),
        spi_read(0x03, &[0x14]).to_vec(),
        spi_write(0x40, 0x29).to_vec(),
        spi_write(0x41, 0x05).to_vec(),
        spi_write(0x42, 0x29).to_vec(),
        spi_write(0x43, 0x02).to_vec(),
        spi_write(0x45, 0x88).to_vec(),
        spi_write(0x47, 0xd2).to_vec(),
        spi_read(0x02, &[0x00]).to_vec(),
        spi_write(0x7e, 0xb0).to_vec(),
        spi_read(0x18, &[0x90, 0x11, 0x00]).to_vec(),
        spi_read(0x22, &[13, 0]).to_vec(),
        // What lies beyond is read too, and by then another sample has come.
        spi_read(0x24, &fifo).to_vec(),
    ]
    .concat();
    let mut device = SpiMock::new(&expected);
    let mut chip = Bmi160::new(SpiRegisters::new(device.clone()));
    let running = chip.configure(&SETTING, &mut NoopDelay::new()).unwrap();
    assert_eq!((running.rate_hz, running.tick_s), (200.0, 1.0 / 25_600.0));
    let mut samples = [Sample::default(); 8];
    let read = chip.read_fifo(&mut samples).unwrap();
    assert_eq!((read.samples, read.gap, read.late), (2, None, 1));
    let g = STANDARD_GRAVITY_M_S2;
    close(samples[1].acceleration_m_s2, [g, -g, 2.0 * g]);
    close(
        samples[1].angular_rate_rad_s,
        [100.0 * DEGREE_RAD, -100.0 * DEGREE_RAD, 0.0],
    );
    assert_eq!([samples[0].device_ticks, samples[1].device_ticks], [0x1200, 0x1280]);
    device.done();
}

#[test]
fn icm20948_on_i2c() {
    let mut bus = I2cMock::new(&[
        i2c_write(0x7f, 0x00),
        i2c_read(0x00, &[0xea]),
        i2c_write(0x06, 0x80),
        i2c_write(0x06, 0x01),
        i2c_write(0x03, 0x00),
        i2c_write(0x07, 0x00),
        i2c_read(0x06, &[0x01]),
        i2c_write(0x7f, 0x20),
        i2c_write(0x09, 0x01),
        i2c_write(0x00, 4),
        i2c_write(0x01, 3 << 3 | 1 << 1 | 1),
        i2c_write(0x10, 0),
        i2c_write(0x11, 4),
        i2c_write(0x14, 3 << 3 | 1 << 1 | 1),
        i2c_write(0x7f, 0x00),
        i2c_write(0x12, 0x1f),
        i2c_write(0x69, 0x00),
        i2c_write(0x67, 0x1e),
        i2c_write(0x03, 0x00),
        i2c_write(0x68, 0x1f),
        i2c_write(0x68, 0x00),
        i2c_read(0x1b, &[0x01]),
        i2c_write(0x03, 0x40),
        i2c_read(0x70, &[0, 12]),
        i2c_read(
            0x72,
            &[0x20, 0x00, 0xe0, 0x00, 0x40, 0x00, 0x19, 0x96, 0xe6, 0x6a, 0x00, 0x00],
        ),
        i2c_read(0x1b, &[0x00]),
    ]);
    let mut chip = Icm20948::new(I2cRegisters::new(bus.clone(), 0x68));
    let running = chip.configure(&SETTING, &mut NoopDelay::new()).unwrap();
    assert_eq!((running.rate_hz, running.fifo_samples), (225.0, 42));
    let mut samples = [Sample::default(); 4];
    assert_eq!(chip.read_fifo(&mut samples).unwrap().samples, 1);
    let g = STANDARD_GRAVITY_M_S2;
    close(samples[0].acceleration_m_s2, [g, -g, 2.0 * g]);
    close(
        samples[0].angular_rate_rad_s,
        [100.0 * DEGREE_RAD, -100.0 * DEGREE_RAD, 0.0],
    );
    bus.done();
}

#[test]
fn icm42688_on_i2c() {
    let packet = |high, low| {
        [
            0x68, 0x20, 0x00, 0xe0, 0x00, 0x40, 0x00, 0x19, 0x96, 0xe6, 0x6a, 0x00, 0x00, 0x07, high, low,
        ]
    };
    // 5 ms are 293 steps of 17.07 µs: across the turn of the counter.
    let fifo = [packet(0xff, 0xf0), packet(0x01, 0x15)].concat();
    let mut bus = I2cMock::new(&[
        i2c_write(0x76, 0x00),
        i2c_read(0x75, &[0x47]),
        i2c_write(0x11, 0x01),
        i2c_write(0x4c, 0x32),
        i2c_write(0x4f, 2 << 5 | 7),
        i2c_write(0x50, 2 << 5 | 7),
        i2c_write(0x52, 0x11),
        i2c_write(0x54, 0x29),
        i2c_write(0x4e, 0x0f),
        i2c_read(0x4e, &[0x0f]),
        i2c_write(0x5f, 0x0f),
        i2c_write(0x16, 0x40),
        i2c_write(0x4b, 0x02),
        i2c_read(0x2d, &[0x18]),
        i2c_read(0x6c, &[0x00, 0x00]),
        i2c_read(0x2d, &[0x08, 0x00, 0x20]),
        i2c_read(0x30, &fifo),
    ]);
    let mut chip = Icm42688::new(I2cRegisters::new(bus.clone(), 0x68));
    let running = chip.configure(&SETTING, &mut NoopDelay::new()).unwrap();
    assert_eq!((running.rate_hz, running.fifo_samples), (200.0, 128));
    let mut samples = [Sample::default(); 8];
    let read = chip.read_fifo(&mut samples).unwrap();
    assert_eq!((read.samples, read.gap), (2, None));
    let g = STANDARD_GRAVITY_M_S2;
    close(samples[0].acceleration_m_s2, [g, -g, 2.0 * g]);
    close(
        samples[0].angular_rate_rad_s,
        [100.0 * DEGREE_RAD, -100.0 * DEGREE_RAD, 0.0],
    );
    assert_eq!([samples[0].device_ticks, samples[1].device_ticks], [0xfff0, 0x1_0115]);
    bus.done();
}

#[test]
fn lsm6dsox_on_spi() {
    // Slot 2 of four: time stamp 0x00010000, gyroscope 8000 counts × 17.5 mdps = 140 °/s, accelerometer 10 000 × 0.122 mg.
    let fifo = [
        [0x24, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00],
        [0x0c, 0x40, 0x1f, 0xc0, 0xe0, 0x00, 0x00],
        [0x14, 0x10, 0x27, 0xf0, 0xd8, 0x00, 0x00],
    ]
    .concat();
    let expected = [
        spi_read(0x0f, &[0x6c]).to_vec(),
        spi_write(0x12, 0x01).to_vec(),
        spi_read(0x12, &[0x04]).to_vec(),
        spi_write(0x12, 0x44).to_vec(),
        spi_write(0x18, 0xe2).to_vec(),
        spi_write(0x13, 0x04).to_vec(),
        spi_write(0x10, 5 << 4 | 2 << 2).to_vec(),
        spi_write(0x11, 5 << 4 | 1 << 2).to_vec(),
        spi_write(0x19, 0x20).to_vec(),
        spi_read(0x63, &[0x00]).to_vec(),
        spi_write(0x09, 0x55).to_vec(),
        spi_write(0x0a, 0x46).to_vec(),
        spi_read(0x3a, &[0x03, 0x00]).to_vec(),
        spi_read(0x78, &fifo).to_vec(),
    ]
    .concat();
    let mut device = SpiMock::new(&expected);
    let mut chip = Lsm6dsox::new(SpiRegisters::new(device.clone()));
    let running = chip.configure(&SETTING, &mut NoopDelay::new()).unwrap();
    assert_eq!((running.tick_s, running.fifo_samples), (25e-6, 170));
    let mut samples = [Sample::default(); 8];
    let read = chip.read_fifo(&mut samples).unwrap();
    assert_eq!((read.samples, read.gap), (1, None));
    let pull = 1.22 * STANDARD_GRAVITY_M_S2;
    close(samples[0].acceleration_m_s2, [pull, -pull, 0.0]);
    close(
        samples[0].angular_rate_rad_s,
        [140.0 * DEGREE_RAD, -140.0 * DEGREE_RAD, 0.0],
    );
    assert_eq!(samples[0].device_ticks, 0x0001_0000);
    device.done();
}
