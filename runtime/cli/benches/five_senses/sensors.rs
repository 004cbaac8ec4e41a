//! The five emulated sensors, and the board that has them.

use sensebind_lab::alsa::{Microphone, Playing};
use sensebind_lab::chip::icm42688::Icm42688;
use sensebind_lab::{Camera, CameraMode, CameraSpec, I2cBus, Lab, PixelFormat, Shot, Unavailable};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const SOUND_RATE_HZ: u32 = 48_000;

/// All of them, in their lab.
pub struct Sensors {
    camera: Camera,
    thermal: Camera,
    depth: Camera,
    bus: I2cBus,
    imu: Arc<Mutex<Icm42688>>,
    playing: Playing,
    config: PathBuf,
    /// Goes last.
    _lab: Lab,
}

impl Sensors {
    /// Puts them into a new lab; `folder` holds what ALSA reads.
    pub fn plug_in(folder: &Path) -> Result<Self, Unavailable> {
        let lab = Lab::new()?;
        let camera = |name, format, width, height, rate_hz: u32| {
            let spec = CameraSpec::new(CameraMode::new(format, width, height, rate_hz));
            lab.camera(name, spec, picture(width, height))
        };
        let (camera, thermal, depth) = (
            camera("video0", PixelFormat::Yuyv, 1280, 720, 30),
            camera("video1", PixelFormat::Y16, 160, 120, 9),
            camera("video2", PixelFormat::Z16, 320, 240, 30),
        );
        let imu = Arc::new(Mutex::new(Icm42688::new()));
        let bus = lab.i2c("i2c-1", vec![(0x68, Box::new(Arc::clone(&imu)))]);
        let microphone = Microphone::create(folder).unwrap();
        let config = microphone.config().to_owned();
        let mut state = 1u32;
        let noise = move |_, bytes: &mut Vec<u8>| {
            for _ in 0..2 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                bytes.extend(((state >> 20) as u16).to_le_bytes());
            }
        };
        let playing = microphone.play(SOUND_RATE_HZ, noise).unwrap();
        Ok(Self {
            camera,
            thermal,
            depth,
            bus,
            imu,
            playing,
            config,
            _lab: lab,
        })
    }

    /// What the child's ALSA must read.
    pub fn alsa_config(&self) -> &Path {
        &self.config
    }

    /// The board file.
    pub fn board(&self) -> String {
        format!(
            "name = \"five-senses\"\n\
             [[sensor]]\nname = \"camera\"\ndriver = \"v4l2_camera\"\ndevice = {:?}\npixel_format = \"YUYV\"\n\
             width = 1280\nheight = 720\nrate_hz = 30\n\
             [[sensor]]\nname = \"microphone\"\ndriver = \"microphone\"\nrate_hz = {SOUND_RATE_HZ}\nchannels = [1, 2]\n\
             [[sensor]]\nname = \"thermal\"\ndriver = \"thermal_uvc\"\ndevice = {:?}\nkelvin_per_count = 0.01\n\
             [[sensor]]\nname = \"depth\"\ndriver = \"depth_v4l2\"\ndevice = {:?}\nmetres_per_count = 0.001\n\
             [[sensor]]\nname = \"imu\"\ndriver = \"imu_chip\"\nchip = \"icm42688\"\ni2c = {:?}\nrate_hz = 1000\n",
            self.camera.path(),
            self.thermal.path(),
            self.depth.path(),
            self.bus.path(),
        )
    }

    /// Frames that each sensor has made since it was started, those that nobody took too. Of sound it is not known.
    pub fn produced(&self) -> BTreeMap<&'static str, u64> {
        let made = |camera: &Camera| {
            let counts = camera.counts();
            counts.filled + counts.without_buffer + counts.dropped
        };
        BTreeMap::from([
            ("camera", made(&self.camera)),
            ("thermal", made(&self.thermal)),
            ("depth", made(&self.depth)),
            ("imu", self.imu.lock().unwrap().produced()),
        ])
    }

    /// Frames of sound that the FIFO had no room for, since it plays.
    pub fn sound_lost(&self) -> u64 {
        self.playing.lost()
    }
}

/// Some even ground in 16 bits a pixel, and a bar that moves over it.
fn picture(width: u32, height: u32) -> impl FnMut(&Shot, &mut [u8]) -> usize + Send + 'static {
    let ground: Vec<u8> = (0..width * height)
        .flat_map(|at| (29_000 + (at * 7919 % 997) as u16).to_le_bytes())
        .collect();
    move |shot, into| {
        into.copy_from_slice(&ground);
        let row = 2 * width as usize;
        let bar = shot.sequence as usize % height as usize * row;
        into[bar..bar + row].fill(0x72);
        into.len()
    }
}
