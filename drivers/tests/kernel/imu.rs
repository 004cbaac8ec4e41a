//! Inertial chips on an `i2c-tiny-usb` adapter: by our own drivers, and by the kernel's through IIO.

use super::{LONG, first_error, next, open, with};
use sensebind_core::{Driver as _, ErrorKind, Settings, Source};
use sensebind_drivers::iio_imu::IioImu;
use sensebind_drivers::imu_chip::ImuChip;
use sensebind_lab::chip::bmi160::Bmi160;
use sensebind_lab::chip::imu_body::Motion;
use sensebind_lab::chip::mpu6050::{Model, Mpu6050};
use sensebind_lab::guest;
use sensebind_lab::usb::i2c_tiny::Adapter;
use sensebind_lab::usb::vhci;
use std::path::Path;

const BMI160: u8 = 0x69;
const MPU6050: u8 = 0x68;

fn adapter() -> Adapter {
    let still = |_| Motion {
        acceleration_m_s2: [1.0, -2.0, 9.5],
        angular_rate_rad_s: [0.5, -0.25, 0.125],
    };
    let mut bmi160 = Bmi160::new();
    bmi160.body.set_motion(still);
    let mut mpu6050 = Mpu6050::new(Model::Mpu6050);
    mpu6050.body.set_motion(still);
    Adapter::new(vec![(BMI160, Box::new(bmi160)), (MPU6050, Box::new(mpu6050))])
}

fn on_i2c(chip: &str, node: &Path, address: u8) -> Settings {
    let mut settings = toml::toml! { rate_hz = 100
    orientation = ["+y", "-x", "+z"] };
    settings.insert("chip".to_owned(), chip.into());
    settings.insert("i2c".to_owned(), node.to_str().unwrap().into());
    settings.insert("address".to_owned(), i64::from(address).into());
    settings
}

fn assert_samples(source: &mut dyn Source, expected: [f32; 6]) {
    let mut last = None;
    for _ in 0..20 {
        let (seq, captured, data) = next(source).unwrap();
        let (values, _) = data.as_chunks::<4>();
        for (bytes, expected) in values.iter().zip(expected) {
            let value = f32::from_le_bytes(*bytes);
            assert!((value - expected).abs() < 0.02, "{value} instead of {expected}");
        }
        assert!(last < Some((seq, captured)), "{last:?} before {:?}", (seq, captured));
        last = Some((seq, captured));
    }
}

const TURNED: [f32; 6] = [-2.0, -1.0, 9.5, -0.25, -0.5, 0.125];
const PLAIN: [f32; 6] = [1.0, -2.0, 9.5, 0.5, -0.25, 0.125];

#[test]
fn chips_on_a_usb_adapter_are_read_pulled_and_put_back() {
    if !guest::inside("chips_on_a_usb_adapter_are_read_pulled_and_put_back") {
        return;
    }
    let cable = vhci::plug(1, adapter()).unwrap();
    let node = cable.node("i2c-").unwrap();
    let settings = on_i2c("bmi160", &node, BMI160);
    assert_samples(
        &mut *open(&ImuChip, &on_i2c("mpu6050", &node, MPU6050)).unwrap(),
        TURNED,
    );
    let mut source = open(&ImuChip, &settings).unwrap();
    assert_samples(&mut *source, TURNED);
    let nobody = open(&ImuChip, &with(&settings, "address", 0x10)).err().unwrap();
    assert_eq!(nobody.kind, ErrorKind::Gone, "{nobody}");
    assert!(nobody.message.contains("i2cdetect"), "{nobody}");

    let adapter = cable.pull().unwrap();
    let error = first_error(&mut *source);
    assert!(matches!(error.kind, ErrorKind::Gone | ErrorKind::Reopen), "{error}");
    drop(source);
    guest::wait_for(LONG, || (!node.exists()).then_some(())).unwrap();
    let error = open(&ImuChip, &settings).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    let cable = vhci::plug(1, adapter).unwrap();
    assert_eq!(cable.node("i2c-").unwrap(), node);
    assert_samples(&mut *open(&ImuChip, &settings).unwrap(), TURNED);
}

#[test]
fn the_kernels_bmi160_is_polled_and_captured() {
    if !guest::inside("the_kernels_bmi160_is_polled_and_captured") {
        return;
    }
    let cable = vhci::plug(1, adapter()).unwrap();
    let node = cable.node("i2c-").unwrap();
    guest::load_module("bmi160_i2c", &[]).unwrap();
    let chip = guest::bind_i2c(&node, "bmi160", BMI160).unwrap();
    guest::folder_below(&chip, "iio:device", LONG).unwrap();
    let taken = open(&ImuChip, &on_i2c("bmi160", &node, BMI160)).err().unwrap();
    assert_eq!(taken.kind, ErrorKind::Misconfigured, "{taken}");
    assert!(taken.message.contains("iio_imu"), "{taken}");

    let found = IioImu.find();
    let found = found.iter().find(|found| found.about.contains("bmi160")).unwrap();
    let identity = format!("bmi160@{}", chip.file_name().unwrap().to_string_lossy());
    assert_eq!(found.settings["device"].as_str(), Some(identity.as_str()));
    let settings = with(&found.settings, "rate_hz", 50);
    // By a timer of its own making where the kernel has such, else asked.
    let mut source = open(&IioImu, &settings).unwrap();
    assert_samples(&mut *source, PLAIN);
    drop(source);
    if guest::iio_timer_trigger("lab-50hz", 50).unwrap().is_some() {
        let mut source = open(&IioImu, &with(&settings, "trigger", "lab-50hz")).unwrap();
        assert_eq!(source.format().rate_hz(), 50.0);
        assert_samples(&mut *source, PLAIN);
        drop(source);
        let mut source = open(&IioImu, &settings).unwrap();
        assert_samples(&mut *source, PLAIN);
        drop(cable);
        let error = first_error(&mut *source);
        assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    } else {
        eprintln!("SKIPPED: scans of the BMI160: this kernel has no IIO timer trigger (Debian's have since 6.12)");
    }
}

#[test]
fn the_kernels_mpu6050_is_polled() {
    if !guest::inside("the_kernels_mpu6050_is_polled") {
        return;
    }
    let cable = vhci::plug(1, adapter()).unwrap();
    guest::load_module("inv_mpu6050_i2c", &[]).unwrap();
    let chip = guest::bind_i2c(&cable.node("i2c-").unwrap(), "mpu6050", MPU6050).unwrap();
    guest::folder_below(&chip, "iio:device", LONG).unwrap();
    let settings = toml::toml! { device = "mpu6050"
    rate_hz = 20 };
    let mut source = open(&IioImu, &settings).unwrap();
    assert_samples(&mut *source, PLAIN);
}
