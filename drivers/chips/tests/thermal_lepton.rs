//! The Lepton driver on an emulated camera, and its frame assembly under corruption.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_hal::i2c;
use embedded_hal::spi::{self, Operation, SpiDevice};
use proptest::prelude::*;
use sensebind_chips::thermal::lepton::{
    ADDRESS, Assembly, CciError, Error, Lepton, Model, PACKET_BYTES, Poll, Resolution, Settings, ShutterMode, Step,
    SyncLoss, TelemetryLocation, checksum,
};
use sensebind_chips::thermal::{FfcState, ThermalArray};
use sensebind_lab::chip::clock::{ChipClock, ManualClock};
use sensebind_lab::chip::lepton::{FFC_TIME, Lepton as Emulated, LeptonControl, LeptonVideo, Part};
use sensebind_lab::chip::thermal::Scene;
use sensebind_lab::hal::{LabI2c, LabSpi};

/// 290 K to 322 K over the larger array, one kelvin up a second.
fn scene(time: Duration, column: usize, row: usize) -> f64 {
    290.0 + 0.13 * column as f64 + 0.09 * row as f64 + time.as_secs_f64()
}

/// A SPI bus at 20 MHz: reading takes time.
struct Bus(LabSpi<LeptonVideo>, ManualClock);

impl spi::ErrorType for Bus {
    type Error = spi::ErrorKind;
}

impl SpiDevice for Bus {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Self::Error> {
        let result = self.0.transaction(operations);
        let bytes: usize = operations
            .iter()
            .map(|operation| {
                if let Operation::Read(into) = operation {
                    into.len()
                } else {
                    0
                }
            })
            .sum();
        self.1.advance(Duration::from_nanos(400) * bytes as u32);
        result
    }
}

type Driver = Lepton<LabI2c<LeptonControl>, Bus, ManualClock>;
type DriverError = Error<i2c::ErrorKind, spi::ErrorKind>;

struct Bench {
    clock: ManualClock,
    camera: Emulated,
}

impl Bench {
    fn new(part: Part) -> Self {
        let clock = ManualClock::default();
        Self {
            camera: Emulated::new(part, Scene::new(scene), ChipClock::manual(&clock)),
            clock,
        }
    }

    fn start(&self, settings: Settings) -> Result<Driver, DriverError> {
        let i2c = LabI2c::new(ADDRESS, Arc::new(Mutex::new(self.camera.control())));
        let spi = Bus(
            LabSpi::new(Arc::new(Mutex::new(self.camera.video()))),
            self.clock.clone(),
        );
        Lepton::start(i2c, spi, self.clock.clone(), settings)
    }
}

const FOOTER: Settings = Settings {
    model: None,
    telemetry: Some(TelemetryLocation::Footer),
    tlinear: None,
};

/// Polls until a frame comes; breaks of the stream are counted in the second value.
fn next_frame(driver: &mut Driver, kelvin: &mut [f32]) -> (sensebind_chips::thermal::FrameInfo, u32) {
    let mut losses = 0;
    for _ in 0..3000 {
        match driver.poll(kelvin) {
            Ok(Some(info)) => return (info, losses),
            Ok(None) => {}
            Err(Error::Sync(_)) => losses += 1,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no frame: {:?}", driver.counts());
}

fn assert_scene(kelvin: &[f32], width: usize, uptime_ms: u32, half_step: f64) {
    for (pixel, found) in kelvin.iter().enumerate() {
        let expected = scene(Duration::from_millis(uptime_ms.into()), pixel % width, pixel / width);
        // The camera's clock is told in whole milliseconds: up to 1 mK.
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error < half_step + 0.0012,
            "pixel {pixel}: {found} K, scene {expected} K"
        );
    }
}

#[test]
fn frames_are_exact_in_every_shape_of_the_stream() {
    for part in [Part::Lepton2R5, Part::Lepton3R5] {
        for telemetry in [TelemetryLocation::Header, TelemetryLocation::Footer] {
            for (tlinear, half_step) in [(Resolution::Centikelvin, 0.005), (Resolution::Decikelvin, 0.05)] {
                let bench = Bench::new(part);
                let settings = Settings {
                    telemetry: Some(telemetry),
                    tlinear: Some(tlinear),
                    ..FOOTER
                };
                let mut driver = bench.start(settings).unwrap();
                assert_eq!(driver.setup().tlinear, Some(tlinear));
                assert_eq!(driver.setup().serial_number, 0x0003_5EED);
                let mut kelvin = vec![0.0; driver.width() * driver.height()];
                let mut last = None;
                for _ in 0..12 {
                    let (info, losses) = next_frame(&mut driver, &mut kelvin);
                    assert_eq!(losses, 0);
                    assert_scene(
                        &kelvin,
                        driver.setup().model.width(),
                        info.uptime_ms.unwrap(),
                        half_step,
                    );
                    let counter = info.counter.unwrap();
                    assert!(last.is_none_or(|last| counter == last + 1), "{counter} after {last:?}");
                    last = Some(counter);
                }
                let counts = driver.counts();
                assert_eq!((counts.frames, counts.losses, counts.missed), (12, 0, 0));
                // A Lepton 2 sends each frame three times, a Lepton 3 fills the time with segments of number 0.
                assert_eq!(counts.repeated > 0, part == Part::Lepton2R5);
            }
        }
    }
}

#[test]
fn without_telemetry_repeated_frames_are_still_told() {
    for part in [Part::Lepton2R5, Part::Lepton3R5] {
        let bench = Bench::new(part);
        let mut driver = bench.start(Settings::default()).unwrap();
        let mut kelvin = vec![0.0; driver.width() * driver.height()];
        let mut last = 0.0;
        for _ in 0..9 {
            let (info, _) = next_frame(&mut driver, &mut kelvin);
            assert_eq!(info.counter, None);
            // One kelvin a second at nine frames a second.
            assert!(
                last == 0.0 || (kelvin[0] - last - 1.0 / 9.0).abs() < 0.011,
                "{last} K then {} K",
                kelvin[0]
            );
            last = kelvin[0];
        }
    }
}

#[test]
fn frames_of_a_correction_are_marked_and_not_dropped() {
    let bench = Bench::new(Part::Lepton3R5);
    let mut driver = bench.start(FOOTER).unwrap();
    let mut kelvin = vec![0.0; driver.width() * driver.height()];
    let (info, _) = next_frame(&mut driver, &mut kelvin);
    assert_eq!(info.ffc, Some(FfcState::NeverCommanded));

    let (control, delay) = driver.control();
    control.run_ffc(delay).unwrap();
    assert_eq!(control.ffc_state(delay).unwrap(), FfcState::InProgress);
    let states: Vec<_> = (0..16).map(|_| next_frame(&mut driver, &mut kelvin).0).collect();
    let closed = states.iter().filter(|info| !info.shows_scene()).count();
    let frames = FFC_TIME.as_secs_f64() * 9.0;
    assert!(
        (closed as f64 - frames).abs() < 2.0,
        "{closed} frames with a closed shutter, {frames} expected"
    );
    assert_eq!(states.last().unwrap().ffc, Some(FfcState::Complete));
    assert_eq!(driver.counts().missed, 0);
    let (control, delay) = driver.control();
    assert_eq!(control.ffc_state(delay).unwrap(), FfcState::Complete);

    bench.camera.set_ffc_interval(Some(Duration::from_secs(6)));
    let mut seen = Vec::new();
    for _ in 0..60 {
        let state = next_frame(&mut driver, &mut kelvin).0.ffc.unwrap();
        if seen.last() != Some(&state) {
            seen.push(state);
        }
    }
    assert!(
        seen.windows(3)
            .any(|states| states == [FfcState::Imminent, FfcState::InProgress, FfcState::Complete]),
        "{seen:?}"
    );
}

#[test]
fn a_late_reader_loses_sync_finds_it_again_and_counts_what_it_missed() {
    for part in [Part::Lepton2R5, Part::Lepton3R5] {
        let bench = Bench::new(part);
        let mut driver = bench.start(FOOTER).unwrap();
        let mut kelvin = vec![0.0; driver.width() * driver.height()];
        let before = next_frame(&mut driver, &mut kelvin).0.counter.unwrap();
        for _ in 0..3 {
            // Late by two frames, but not so long that the camera starts its stream again.
            bench.clock.advance(Duration::from_millis(80));
            let (info, losses) = next_frame(&mut driver, &mut kelvin);
            assert_eq!(losses, 1);
            assert_scene(&kelvin, driver.setup().model.width(), info.uptime_ms.unwrap(), 0.005);
        }
        let (info, _) = next_frame(&mut driver, &mut kelvin);
        let counts = driver.counts();
        assert_eq!(counts.losses, 3);
        assert_eq!(
            counts.missed,
            u64::from(info.counter.unwrap() - before) + 1 - counts.frames
        );
        assert!(counts.missed > 0);
    }
}

#[test]
fn a_flipped_bit_costs_a_resynchronisation_and_never_a_wrong_frame() {
    let bench = Bench::new(Part::Lepton3R5);
    let mut driver = bench.start(FOOTER).unwrap();
    let mut kelvin = vec![0.0; driver.width() * driver.height()];
    for _ in 0..20 {
        next_frame(&mut driver, &mut kelvin);
        // Enough that not all of them are discard packets, whose bytes mean nothing.
        bench.camera.corrupt_packets(300);
        let (info, _) = next_frame(&mut driver, &mut kelvin);
        assert_scene(&kelvin, 160, info.uptime_ms.unwrap(), 0.005);
    }
    assert!(driver.counts().losses >= 20, "{:?}", driver.counts());
}

#[test]
fn a_camera_without_radiometry_says_so() {
    for part in [Part::Lepton2, Part::Lepton3] {
        let bench = Bench::new(part);
        let mut driver = bench.start(FOOTER).unwrap();
        assert_eq!(driver.setup().tlinear, None);
        let mut kelvin = vec![0.0; driver.width() * driver.height()];
        let error = (0..1000).find_map(|_| driver.poll(&mut kelvin).err());
        assert_eq!(error, Some(Error::NoTemperatures));
        // Its raw counts can be had all the same.
        let raw = (0..1000).any(|_| match driver.poll_video().unwrap() {
            Poll::Frame(frame) => frame.counts.iter().all(|count| *count < 1 << 14),
            _ => false,
        });
        assert!(raw);

        let wanted = Settings {
            tlinear: Some(Resolution::Centikelvin),
            ..FOOTER
        };
        let refused = bench.start(wanted).err().unwrap();
        assert!(
            matches!(refused, Error::Control(CciError::Refused { code: -8, .. })),
            "{refused}"
        );
    }
}

#[test]
fn the_control_bus_gets_and_sets() {
    let bench = Bench::new(Part::Lepton3R5);
    let mut driver = bench.start(FOOTER).unwrap();
    bench.clock.advance(Duration::from_secs(5));
    let (control, delay) = driver.control();
    assert_eq!(control.part_number(delay).unwrap().as_str(), "500-0771-01");
    assert_eq!(control.model(delay).unwrap(), Some(Model::Lepton3));
    assert!((5000..5500).contains(&control.uptime_ms(delay).unwrap()));
    assert_eq!(control.telemetry(delay).unwrap(), Some(TelemetryLocation::Footer));
    control.set_telemetry(Some(TelemetryLocation::Header), delay).unwrap();
    assert_eq!(control.telemetry(delay).unwrap(), Some(TelemetryLocation::Header));
    control.set_telemetry(None, delay).unwrap();
    assert_eq!(control.telemetry(delay).unwrap(), None);
    assert_eq!(control.tlinear(delay).unwrap(), Some(Resolution::Centikelvin));
    control.set_tlinear(Some(Resolution::Decikelvin), delay).unwrap();
    assert_eq!(control.tlinear(delay).unwrap(), Some(Resolution::Decikelvin));
    control.set_tlinear(None, delay).unwrap();
    assert_eq!(control.tlinear(delay).unwrap(), None);
    assert_eq!(control.shutter_mode(delay).unwrap(), ShutterMode::Auto);
    control.set_shutter_mode(ShutterMode::Manual, delay).unwrap();
    assert_eq!(control.shutter_mode(delay).unwrap(), ShutterMode::Manual);
}

#[test]
fn a_camera_that_does_not_boot_is_waited_for_within_a_bound() {
    let bench = Bench::new(Part::Lepton3R5);
    bench.camera.set_booted(false);
    let error = bench.start(FOOTER).err().unwrap();
    assert_eq!(error, Error::Control(CciError::NotBooted { status: 0 }));
    assert!(error.to_string().contains("expected"), "{error}");
    assert!(bench.clock.elapsed_ns() <= 6_000_000_000);
}

#[test]
fn the_checksum_is_that_of_the_data_sheet() {
    // CRC-16 with this polynomial and initial value 0 of "123456789" is 0x31C3 (the catalogue's XMODEM); zeros before it
    // do not count.
    let mut packet = [0; PACKET_BYTES];
    packet[PACKET_BYTES - 9..].copy_from_slice(b"123456789");
    assert_eq!(checksum(&packet), 0x31C3);
    // Neither do the T bits and the checksum itself.
    packet[0] = 0x30;
    packet[2..4].copy_from_slice(&[0xAB, 0xCD]);
    assert_eq!(checksum(&packet), 0x31C3);
}

/// A frame's packets, telemetry off: each word of pixel n is n plus `shift`.
fn frame(model: Model, shift: u16) -> Vec<[u8; PACKET_BYTES]> {
    let mut packets = Vec::new();
    for segment in 1..=model.segments() {
        for number in 0..60u16 {
            let mut packet = [0; PACKET_BYTES];
            packet[1] = number as u8;
            let first = (u16::from(segment - 1) * 60 + number) * 80;
            for word in 0..80 {
                let at = 4 + 2 * usize::from(word);
                packet[at..at + 2].copy_from_slice(&(first + word + shift).to_be_bytes());
            }
            let crc = checksum(&packet);
            packet[2..4].copy_from_slice(&crc.to_be_bytes());
            if number == 20 && model.segments() > 1 {
                packet[0] |= segment << 4;
            }
            packets.push(packet);
        }
    }
    packets
}

#[test]
fn a_line_stuck_high_or_low_is_no_camera() {
    let mut assembly = Assembly::new(Model::Lepton3, None);
    let silent = (0..10_000).find_map(|_| match assembly.push(&[0xFF; PACKET_BYTES]) {
        Step::Lost(loss) => Some(loss),
        _ => None,
    });
    assert_eq!(silent, Some(SyncLoss::Silent));
    // All zeros is a valid packet 0, and never a second one.
    assert_eq!(assembly.push(&[0; PACKET_BYTES]), Step::Waiting);
    let expected = SyncLoss::Packet { expected: 1, found: 0 };
    assert_eq!(assembly.push(&[0; PACKET_BYTES]), Step::Lost(expected));
}

#[derive(Debug, Clone)]
enum Fault {
    Flip { packet: usize, bit: usize },
    Burst { packet: usize, byte: usize, mask: u16 },
    Drop { packet: usize },
    Double { packet: usize },
    Swap { packet: usize },
    Noise { packet: usize, bytes: Vec<u8> },
}

fn fault() -> impl Strategy<Value = Fault> {
    let packet = 0..720usize;
    prop_oneof![
        (packet.clone(), 0..8 * PACKET_BYTES).prop_map(|(packet, bit)| Fault::Flip { packet, bit }),
        (packet.clone(), 4..PACKET_BYTES - 1, 1..=u16::MAX).prop_map(|(packet, byte, mask)| Fault::Burst {
            packet,
            byte,
            mask
        }),
        packet.clone().prop_map(|packet| Fault::Drop { packet }),
        packet.clone().prop_map(|packet| Fault::Double { packet }),
        packet.clone().prop_map(|packet| Fault::Swap { packet }),
        (packet, proptest::collection::vec(any::<u8>(), PACKET_BYTES))
            .prop_map(|(packet, bytes)| Fault::Noise { packet, bytes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_corruption_gives_a_wrong_frame(
        lepton2 in any::<bool>(),
        faults in proptest::collection::vec(fault(), 1..6),
    ) {
        let model = if lepton2 { Model::Lepton2 } else { Model::Lepton3 };
        let mut stream: Vec<_> = (0..3).flat_map(|shift| frame(model, shift)).collect();
        for fault in &faults {
            let length = stream.len();
            match fault {
                Fault::Flip { packet, bit } => stream[packet % length][bit / 8] ^= 1 << (bit % 8),
                Fault::Burst { packet, byte, mask } => {
                    let packet = &mut stream[packet % length];
                    packet[*byte] ^= (mask >> 8) as u8;
                    packet[byte + 1] ^= *mask as u8;
                }
                Fault::Drop { packet } => drop(stream.remove(packet % length)),
                Fault::Double { packet } => stream.insert(packet % length, stream[packet % length]),
                Fault::Swap { packet } => stream.swap(packet % length, (packet + 1) % length),
                Fault::Noise { packet, bytes } => stream[packet % length].copy_from_slice(bytes),
            }
        }
        let mut assembly = Assembly::new(model, None);
        for packet in &stream {
            if let Step::Frame(_) = assembly.push(packet) {
                let counts = assembly.counts();
                prop_assert!(counts[0] < 3);
                prop_assert!(counts.iter().zip(counts[0]..).all(|(found, expected)| *found == expected));
            }
        }
        // Whatever came, whole frames are read again afterwards: at most one is spent on finding the place.
        let mut found = false;
        for packet in frame(model, 7).iter().chain(&frame(model, 8)).chain(&frame(model, 9)) {
            found |= matches!(assembly.push(packet), Step::Frame(_));
        }
        prop_assert!(found);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), PACKET_BYTES * 50)) {
        for location in [None, Some(TelemetryLocation::Header), Some(TelemetryLocation::Footer)] {
            let mut assembly = Assembly::new(Model::Lepton3, location);
            for packet in bytes.as_chunks::<PACKET_BYTES>().0 {
                prop_assert!(!matches!(assembly.push(packet), Step::Frame(_)));
            }
        }
    }
}
