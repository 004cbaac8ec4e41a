//! A simulated world behind five device nodes, each of which shows it at its own capture time.

use sensebind_core::{Clock, Timestamp};
use sensebind_drivers::host_clock::HostClock;
use sensebind_lab::alsa::{Microphone, Playing};
use sensebind_lab::chip::imu_body::Motion;
use sensebind_lab::chip::mpu6050::{Model, Mpu6050};
use sensebind_lab::{Camera, CameraMode, CameraSpec, I2cBus, Lab, PixelFormat, Unavailable};
use sensebind_scene::{
    AUDIO_RATE_HZ, CAMERA_RATE_HZ, CAMERA_SIZE, DEPTH_RATE_HZ, DEPTH_SIZE, IMU_RATE_HZ, Size, THERMAL_RATE_HZ,
    THERMAL_SIZE, Timeline, World,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The sensors, in the order in which they are pulled.
pub const NAMES: [&str; 5] = ["camera", "thermal", "depth", "imu", "microphone"];
const SEED: u64 = 7;
const BUS: &str = "i2c-1";
/// Sound is rendered in pieces: 20 ms.
const PIECE: u64 = AUDIO_RATE_HZ as u64 / 50;

/// What happens in the world, with start and end in seconds.
pub fn truth() -> Vec<(String, f64, f64)> {
    let timeline = Timeline::demo(SEED);
    let occurrences = timeline.occurrences.iter();
    occurrences
        .map(|o| (o.happening.name().to_owned(), o.start_s, o.end_s))
        .collect()
}

/// The world and when it began, which is when somebody first looks at it.
#[derive(Debug, Clone)]
struct Stage {
    world: Arc<World>,
    origin: Arc<OnceLock<Duration>>,
}

impl Stage {
    /// Seconds into the world at `at` of the monotonic clock. Whoever sees begins it; others find it still before.
    fn seconds(&self, at: Duration, begins: bool) -> f64 {
        let origin = if begins {
            Some(self.origin.get_or_init(|| at))
        } else {
            self.origin.get()
        };
        origin.map_or(0.0, |origin| at.saturating_sub(*origin).as_secs_f64())
    }
}

/// All five, in their lab.
pub struct Sensors {
    stage: Stage,
    camera: Camera,
    thermal: Camera,
    depth: Camera,
    bus: I2cBus,
    folder: PathBuf,
    config: PathBuf,
    /// `None` while it is pulled.
    playing: Option<Playing>,
    /// Goes last.
    lab: Lab,
}

impl Sensors {
    /// Puts them into a new lab; ALSA reads what `folder` holds.
    pub fn plug_in(folder: &Path) -> Result<Self, Unavailable> {
        let lab = Lab::new()?;
        let stage = Stage {
            world: Arc::new(World::new(SEED, Timeline::demo(SEED))),
            origin: Arc::default(),
        };
        let camera = camera(&lab, "video0", PixelFormat::Yuyv, CAMERA_SIZE, CAMERA_RATE_HZ, {
            let (stage, mut rgb) = (stage.clone(), Vec::new());
            move |at, into| {
                stage.world.camera(stage.seconds(at, true), CAMERA_SIZE, &mut rgb);
                to_yuyv(&rgb, into);
            }
        });
        let thermal = camera_of_counts(
            &lab,
            "video1",
            (PixelFormat::Y16, THERMAL_SIZE, THERMAL_RATE_HZ),
            &stage,
            World::thermal,
        );
        let depth = camera_of_counts(
            &lab,
            "video2",
            (PixelFormat::Z16, DEPTH_SIZE, DEPTH_RATE_HZ),
            &stage,
            World::depth,
        );
        let bus = lab.i2c(BUS, vec![(0x68, Box::new(imu(&stage)))]);
        let microphone = Microphone::create(folder).unwrap();
        let config = microphone.config().to_owned();
        let playing = Some(play(microphone, &stage));
        Ok(Self {
            stage,
            camera,
            thermal,
            depth,
            bus,
            folder: folder.to_owned(),
            config,
            playing,
            lab,
        })
    }

    /// What the child's ALSA must read.
    pub fn alsa_config(&self) -> &Path {
        &self.config
    }

    /// The board file.
    pub fn board(&self) -> String {
        format!(
            "name = \"lab\"\ndescription = \"five emulated devices\"\n\
             [record]\npath = \"lab.mcap\"\n\
             [[sensor]]\nname = \"camera\"\ndriver = \"v4l2_camera\"\ndevice = {:?}\npixel_format = \"YUYV\"\n\
             [[sensor]]\nname = \"microphone\"\ndriver = \"microphone\"\nrate_hz = {AUDIO_RATE_HZ}\n\
             [[sensor]]\nname = \"thermal\"\ndriver = \"thermal_uvc\"\ndevice = {:?}\nkelvin_per_count = 0.01\n\
             [[sensor]]\nname = \"depth\"\ndriver = \"depth_v4l2\"\ndevice = {:?}\nmetres_per_count = 0.001\n\
             [[sensor]]\nname = \"imu\"\ndriver = \"imu_chip\"\nchip = \"mpu6050\"\ni2c = {:?}\nrate_hz = {IMU_RATE_HZ}\n",
            self.camera.path(),
            self.thermal.path(),
            self.depth.path(),
            self.bus.path(),
        )
    }

    /// When the world began.
    pub fn origin(&self) -> Option<Timestamp> {
        self.stage.origin.get().map(|origin| Timestamp::ZERO.after(*origin))
    }

    /// The user is not in the group of the IMU's bus, or is again.
    pub fn deny_imu(&self, denied: bool) {
        self.lab.deny(BUS, denied);
    }

    /// The thermal camera gives nothing, or goes on.
    pub fn stall_thermal(&self, stalled: bool) {
        if stalled {
            self.thermal.stall();
        } else {
            self.thermal.resume();
        }
    }

    /// Pulls the sensor of that name.
    pub fn pull(&mut self, name: &str) {
        match name {
            "camera" => self.camera.unplug(),
            "thermal" => self.thermal.unplug(),
            "depth" => self.depth.unplug(),
            "imu" => self.bus.unplug(),
            _ => {
                // First its name: whoever opens a FIFO without a writer hangs.
                std::fs::remove_file(self.folder.join("microphone")).unwrap();
                self.playing = None;
            }
        }
    }

    /// Puts the sensor of that name back.
    pub fn put_back(&mut self, name: &str) {
        match name {
            "camera" => self.camera.replug(),
            "thermal" => self.thermal.replug(),
            "depth" => self.depth.replug(),
            "imu" => self.bus.replug(),
            _ => {
                let microphone = Microphone::create(&self.folder).unwrap();
                self.playing = Some(play(microphone, &self.stage));
            }
        }
    }
}

fn monotonic() -> Duration {
    Duration::from_nanos(HostClock::start().now().as_nanos())
}

fn camera(
    lab: &Lab,
    name: &str,
    format: PixelFormat,
    size: Size,
    rate_hz: u32,
    mut picture: impl FnMut(Duration, &mut [u8]) + Send + 'static,
) -> Camera {
    let mode = CameraMode::new(format, size.width as u32, size.height as u32, rate_hz);
    lab.camera(name, CameraSpec::new(mode), move |shot, into| {
        picture(shot.stamp, into);
        into.len()
    })
}

fn camera_of_counts(
    lab: &Lab,
    name: &str,
    (format, size, rate_hz): (PixelFormat, Size, u32),
    stage: &Stage,
    render: impl Fn(&World, f64, &mut Vec<u16>) + Send + 'static,
) -> Camera {
    let (stage, mut counts) = (stage.clone(), Vec::new());
    camera(lab, name, format, size, rate_hz, move |at, into| {
        render(&stage.world, stage.seconds(at, true), &mut counts);
        for (bytes, count) in into.chunks_exact_mut(2).zip(&counts) {
            bytes.copy_from_slice(&count.to_le_bytes());
        }
    })
}

/// An MPU-6050 that goes through what the world does to it.
fn imu(stage: &Stage) -> Mpu6050 {
    let stage = stage.clone();
    let powered = monotonic();
    let mut chip = Mpu6050::new(Model::Mpu6050);
    chip.body.set_motion(move |chip_s| {
        let at_s = stage.seconds(powered + Duration::from_secs_f64(chip_s), false);
        let values = stage.world.imu((at_s * f64::from(IMU_RATE_HZ)).round() as u64);
        let [ax, ay, az, gx, gy, gz] = values.map(f64::from);
        Motion {
            acceleration_m_s2: [ax, ay, az],
            angular_rate_rad_s: [gx, gy, gz],
        }
    });
    chip
}

fn play(microphone: Microphone, stage: &Stage) -> Playing {
    let stage = stage.clone();
    let began = monotonic();
    let mut piece = [0.0; PIECE as usize];
    let sound = move |nth: u64, bytes: &mut Vec<u8>| {
        let within = (nth % PIECE) as usize;
        if within == 0 {
            let at = began + Duration::from_nanos(nth * 1_000_000_000 / u64::from(AUDIO_RATE_HZ));
            let at_s = stage.seconds(at, false);
            stage
                .world
                .audio((at_s * f64::from(AUDIO_RATE_HZ)).round() as u64, &mut piece);
        }
        // `as` limits to the range.
        bytes.extend(((piece[within] * 32768.0).round() as i16).to_le_bytes());
    };
    microphone.play(AUDIO_RATE_HZ, sound).unwrap()
}

/// ITU-R BT.601 in the limited range, as webcams give it: pairs of pixels share the mean of their colours.
fn to_yuyv(rgb: &[u8], into: &mut [u8]) {
    for (pair, yuyv) in rgb.chunks_exact(6).zip(into.chunks_exact_mut(4)) {
        let values: [f32; 6] = std::array::from_fn(|at| f32::from(pair[at]) / 255.0);
        let luma = |at: usize| 0.299 * values[at] + 0.587 * values[at + 1] + 0.114 * values[at + 2];
        let mean = |at: usize| (values[at] + values[at + 3]) / 2.0;
        let y = (luma(0) + luma(3)) / 2.0;
        // `as` limits to the range.
        yuyv.copy_from_slice(&[
            (16.5 + 219.0 * luma(0)) as u8,
            (128.5 + 224.0 * (mean(2) - y) / 1.772) as u8,
            (16.5 + 219.0 * luma(3)) as u8,
            (128.5 + 224.0 * (mean(0) - y) / 1.402) as u8,
        ]);
    }
}
