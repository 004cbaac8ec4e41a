//! Accelerometer and gyroscope of a device that stands on a table or the floor until something moves it.

use crate::IMU_RATE_HZ;
use crate::bodies::{Shake, beats, fall, roll_turns, steps};
use crate::chance::{Beats, Draw, normal, smooth, white};
use crate::numeric::{cos_turns, decay, ramp, sin_turns};
use crate::stage::Stage;
use crate::{Happening, Occurrence, Timeline};

const GRAVITY_M_S2: f32 = 9.806_65;
const TAU: f32 = core::f32::consts::TAU;

/// Movement on top of standing still: acceleration in m/s², turning in rad/s, and how far the device is rolled and
/// pitched (in turns), which carries gravity to other axes.
#[derive(Debug, Clone, Copy, Default)]
struct Motion {
    accel: [f32; 3],
    gyro: [f32; 3],
    roll_turns: f32,
    pitch_turns: f32,
}

pub(crate) fn sample(stage: &Stage, timeline: &Timeline, sample: u64) -> [f32; 6] {
    let at_s = sample as f64 / f64::from(IMU_RATE_HZ);
    let mut draw = Draw::new(stage.seed, 13);
    let mut motion = Motion {
        roll_turns: draw.range(-0.008, 0.008),
        pitch_turns: draw.range(-0.008, 0.008),
        ..Motion::default()
    };
    let noise = [draw.range(0.01, 0.03), draw.range(0.0015, 0.004)];
    let bias: [f32; 6] = core::array::from_fn(|axis| {
        if axis < 3 {
            draw.range(-0.05, 0.05)
        } else {
            draw.range(-0.008, 0.008)
        }
    });
    for occurrence in timeline.active(at_s) {
        move_by(occurrence, at_s - occurrence.start_s, &mut motion);
    }
    let (sin_roll, cos_roll) = (
        sin_turns(f64::from(motion.roll_turns)),
        cos_turns(f64::from(motion.roll_turns)),
    );
    let (sin_pitch, cos_pitch) = (
        sin_turns(f64::from(motion.pitch_turns)),
        cos_turns(f64::from(motion.pitch_turns)),
    );
    let gravity = [
        -sin_pitch * GRAVITY_M_S2,
        sin_roll * cos_pitch * GRAVITY_M_S2,
        cos_roll * cos_pitch * GRAVITY_M_S2,
    ];
    core::array::from_fn(|axis| {
        let trembling = noise[axis / 3] * normal(stage.seed ^ 0x1111, sample * 6 + axis as u64);
        let moved = if axis < 3 {
            gravity[axis] + motion.accel[axis]
        } else {
            motion.gyro[axis - 3]
        };
        moved + bias[axis] + trembling
    })
}

/// A shock that rings: amplitude, frequency and how fast it dies, `since_s` after it.
fn shock(since_s: f64, rate_hz: f32, fading_s: f32) -> f32 {
    if since_s < 0.0 {
        0.0
    } else {
        sin_turns(since_s * f64::from(rate_hz) + 0.15) * decay(since_s as f32 / fading_s)
    }
}

/// The shocks of the latest two beats together, `late_s` after each.
fn shocks(beats: Beats, since_s: f64, late_s: f64, rate_hz: f32, fading_s: f32) -> f32 {
    beats
        .between(since_s - late_s - 1.2, since_s - late_s)
        .map(|(_, at_s)| shock(since_s - late_s - at_s, rate_hz, fading_s))
        .sum()
}

fn move_by(occurrence: &Occurrence, since_s: f64, motion: &mut Motion) {
    let seed = occurrence.seed;
    let mut draw = Draw::new(seed, 30);
    let happening = occurrence.happening;
    match happening {
        Happening::PickedUp => {
            let pitch = |at_s: f64| ramp(0.0, 0.4, at_s as f32) * (0.06 * smooth(seed ^ 40, at_s * 0.8) + 0.03);
            let yaw = |at_s: f64| 0.09 * smooth(seed ^ 41, at_s * 0.6);
            let rate =
                |turns: &dyn Fn(f64) -> f32| (turns(since_s + 0.01) - turns((since_s - 0.01).max(0.0))) * 50.0 * TAU;
            motion.roll_turns += roll_turns(seed, since_s);
            motion.pitch_turns += pitch(since_s);
            motion.gyro[0] += rate(&|at_s| roll_turns(seed, at_s));
            motion.gyro[1] += rate(&pitch);
            motion.gyro[2] += rate(&yaw);
            let lift = if since_s < 0.8 {
                sin_turns(since_s / 0.8) * 2.2
            } else {
                0.0
            };
            for axis in 0..3 {
                motion.accel[axis] += 0.7 * smooth(seed ^ (50 + axis as u64), since_s * 1.8)
                    + 0.12 * smooth(seed ^ (60 + axis as u64), since_s * 18.0);
            }
            motion.accel[2] += lift;
        }
        Happening::Shaken => {
            let shake = Shake::new(seed);
            let swing = shake.swing_turns(since_s);
            let strength = draw.range(7.0, 17.0);
            for axis in 0..3 {
                let share = draw.range(0.35, 1.0);
                let late = f64::from(draw.range(0.0, 0.5));
                motion.accel[axis] +=
                    strength * share * (sin_turns(swing + late) + 0.3 * sin_turns(2.0 * swing + late));
                motion.gyro[axis] +=
                    draw.range(1.0, 5.0) * sin_turns(swing + late + 0.25) * (shake.rate_hz as f32 / 6.0);
            }
        }
        Happening::Driven => {
            let rough = draw.range(0.25, 0.7);
            let hum_hz = f64::from(draw.range(24.0, 38.0));
            for axis in 0..3u64 {
                let vertical = if axis == 2 { 1.5 } else { 0.7 };
                let road = smooth(seed ^ (axis + 1), since_s * 28.0)
                    + 0.6 * white(seed ^ (axis + 4), (since_s * 200.0) as u64);
                motion.accel[axis as usize] +=
                    rough * vertical * road + 0.12 * sin_turns(since_s * hum_hz + axis as f64 * 0.3);
                motion.gyro[axis as usize] += 0.02 * smooth(seed ^ (axis + 7), since_s * 12.0);
            }
            motion.accel[0] += 1.3 * smooth(seed ^ 20, since_s * 0.45);
            let bend = smooth(seed ^ 21, since_s * 0.4);
            motion.accel[1] += 1.5 * bend;
            motion.gyro[2] += 0.13 * bend;
            motion.accel[2] += 0.5 * sin_turns(since_s * 1.4 + f64::from(draw.unit()));
            motion.gyro[1] += 0.035 * sin_turns(since_s * 1.4);
        }
        Happening::PersonFalling => {
            let strength = draw.range(0.7, 1.6);
            let (floor_hz, fading_s) = (draw.range(9.0, 15.0), draw.range(0.1, 0.18));
            let hit = shocks(beats(happening, seed), since_s, fall::LANDING_S, floor_hz, fading_s);
            let limb = shocks(
                beats(happening, seed),
                since_s,
                fall::LANDING_S + 0.13,
                floor_hz * 1.4,
                0.06,
            );
            motion.accel[2] += strength * (hit + 0.45 * limb);
            motion.accel[0] += 0.2 * strength * hit;
            motion.gyro[1] += 0.02 * strength * hit;
        }
        Happening::Engine => {
            let turn_hz = f64::from(draw.range(20.0, 60.0));
            let strength = draw.range(0.3, 0.9);
            for axis in 0..3 {
                let share = draw.range(0.4, 1.0);
                let late = f64::from(draw.unit());
                // Harmonics the sensor's low-pass at about 90 Hz lets through; what is above half the rate folds back.
                let mut sum = 0.0;
                for harmonic in 1..=4 {
                    let rate_hz = turn_hz * f64::from(harmonic);
                    let passed = 1.0 / (1.0 + (rate_hz as f32 / 90.0) * (rate_hz as f32 / 90.0));
                    sum += passed / harmonic as f32 * sin_turns(since_s * rate_hz + late * f64::from(harmonic));
                }
                motion.accel[axis] += strength * share * sum;
                motion.gyro[axis] += 0.012 * strength * sin_turns(since_s * turn_hz + late);
            }
        }
        Happening::DoorOpening => {
            let strength = draw.range(0.5, 1.3);
            let slam = shocks(
                beats(happening, seed),
                since_s,
                0.06,
                draw.range(26.0, 40.0),
                draw.range(0.03, 0.06),
            );
            motion.accel[0] += strength * slam;
            motion.accel[1] += 0.5 * strength * slam;
            motion.gyro[1] += 0.05 * strength * slam;
            motion.gyro[2] += 0.03 * strength * slam;
        }
        Happening::PersonWalking => {
            let foot = shocks(steps(seed), since_s, 0.0, draw.range(16.0, 26.0), 0.05);
            motion.accel[2] += draw.range(0.12, 0.3) * foot;
        }
        Happening::GlassBreaking => {
            motion.accel[2] += 0.06 * shocks(beats(happening, seed), since_s, 0.0, 80.0, 0.02);
        }
        _ => {}
    }
}
