//! Fire, rain and the sea.

use super::Stretch;
use super::tone::grains;
use crate::chance::{Draw, smooth, white};
use crate::numeric::sin_turns;

pub(super) fn fire(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    grains(
        stretch,
        seed ^ 1,
        f64::from(draw.range(25.0, 60.0)),
        (1200.0, 6500.0),
        (0.0015, 0.007),
    );
    grains(
        stretch,
        seed ^ 2,
        f64::from(draw.range(3.0, 7.0)),
        (500.0, 2200.0),
        (0.006, 0.02),
    );
    let roar = draw.range(0.08, 0.2);
    stretch.throughout(|t_s, sample| {
        let gust = 0.6 + 0.4 * smooth(seed ^ 5, t_s * 3.0);
        gust * (roar * smooth(seed ^ 3, t_s * 220.0) + 0.03 * white(seed ^ 4, sample))
    });
}

pub(super) fn rain(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let heavy = draw.range(0.12, 0.3);
    let bright = draw.range(0.4, 0.9);
    stretch.throughout(|t_s, sample| {
        let now = white(seed, sample);
        // The difference of neighbours lifts the treble.
        let treble = now - bright * white(seed, sample.wrapping_sub(1));
        heavy * treble * (0.9 + 0.1 * smooth(seed ^ 7, t_s * 2.0))
    });
    grains(
        stretch,
        seed ^ 8,
        f64::from(draw.range(60.0, 140.0)),
        (2000.0, 7000.0),
        (0.0008, 0.003),
    );
}

pub(super) fn sea(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let swell_s = f64::from(draw.range(3.5, 7.0));
    let late = f64::from(draw.unit());
    let loud = draw.range(0.35, 0.6);
    stretch.throughout(|t_s, sample| {
        let swell = 0.5 + 0.5 * sin_turns(t_s / swell_s + late);
        let swell = 0.25 + 0.75 * swell * swell;
        let body = smooth(seed, t_s * 1300.0) + 0.6 * smooth(seed ^ 1, t_s * 350.0);
        let foam = 0.45 * swell * (white(seed ^ 2, sample) + white(seed ^ 2, sample.wrapping_sub(1)));
        loud * swell * (body + foam)
    });
}
