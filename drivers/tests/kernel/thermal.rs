//! A thermal array on an `i2c-tiny-usb` adapter: long messages through the kernel's I2C core.

use super::{LONG, first_error, next, open, with};
use sensebind_core::{ErrorKind, Settings, Source};
use sensebind_drivers::mlx90640::Mlx90640;
use sensebind_lab::chip::clock::ChipClock;
use sensebind_lab::chip::mlx90640::Mlx90640 as Chip;
use sensebind_lab::chip::thermal::Scene;
use sensebind_lab::guest;
use sensebind_lab::usb::i2c_tiny::Adapter;
use sensebind_lab::usb::vhci;

const ADDRESS: u8 = 0x33;

/// Kelvin at a place of the scene.
fn slope(column: usize, row: usize) -> f64 {
    290.0 + 0.5 * column as f64 + 0.3 * row as f64
}

fn assert_scene(source: &mut dyn Source) {
    let mut last = None;
    for _ in 0..3 {
        let (seq, captured, data) = next(source).unwrap();
        for (pixel, bytes) in data.as_chunks::<4>().0.iter().enumerate() {
            let (found, expected) = (f64::from(f32::from_le_bytes(*bytes)), slope(pixel % 32, pixel / 32));
            assert!(
                (found - expected).abs() < 0.35,
                "pixel {pixel}: {found} K, scene {expected} K"
            );
        }
        assert!(last < Some((seq, captured)), "{last:?} before {:?}", (seq, captured));
        last = Some((seq, captured));
    }
}

#[test]
fn an_array_on_a_usb_adapter_is_read_pulled_and_put_back() {
    if !guest::inside("an_array_on_a_usb_adapter_is_read_pulled_and_put_back") {
        return;
    }
    let scene = Scene::new(|_, column, row| slope(column, row));
    let adapter = Adapter::new(vec![(ADDRESS, Box::new(Chip::new(scene, ChipClock::host())))]);
    let cable = vhci::plug(2, adapter).unwrap();
    let node = cable.node("i2c-").unwrap();
    let settings = Settings::from_iter([("i2c".to_owned(), node.to_str().unwrap().into())]);
    // The whole memory in one message, then in pieces for adapters that take no more.
    for message_bytes in [1664, 254] {
        let settings = with(&settings, "message_bytes", message_bytes);
        assert_scene(&mut *open(&Mlx90640, &settings).unwrap());
    }
    let nobody = open(&Mlx90640, &with(&settings, "address", 0x10)).err().unwrap();
    assert_eq!(nobody.kind, ErrorKind::Gone, "{nobody}");
    assert!(nobody.message.contains("i2cdetect"), "{nobody}");

    let mut source = open(&Mlx90640, &settings).unwrap();
    assert_scene(&mut *source);
    let adapter = cable.pull().unwrap();
    let error = first_error(&mut *source);
    assert!(matches!(error.kind, ErrorKind::Gone | ErrorKind::Reopen), "{error}");
    drop(source);
    guest::wait_for(LONG, || (!node.exists()).then_some(())).unwrap();
    let error = open(&Mlx90640, &settings).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    let cable = vhci::plug(2, adapter).unwrap();
    assert_eq!(cable.node("i2c-").unwrap(), node);
    assert_scene(&mut *open(&Mlx90640, &settings).unwrap());
}
