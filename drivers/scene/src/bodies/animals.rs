//! A dog and a rooster.

use super::{Brush, Cue, beats};
use crate::Happening;
use crate::numeric::{ramp, sin_turns};
use crate::patch::{Look, Patch, shade};

pub(crate) fn dog(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let coat = draw.pick([
        [0.45, 0.28, 0.15],
        [0.14, 0.12, 0.12],
        [0.85, 0.66, 0.38],
        [0.88, 0.85, 0.8],
        [0.5, 0.48, 0.47],
        [0.62, 0.34, 0.14],
    ]);
    let patch_rgb = draw.pick([[0.95, 0.93, 0.9], [0.12, 0.1, 0.1], [0.55, 0.35, 0.2]]);
    let spotted = draw.chance(0.5);
    let pointed = draw.chance(0.5);
    let stocky = draw.range(0.85, 1.25);
    let mut brush = Brush::standing(patches, &mut draw, &cue.stage.optics, 0.85, (0.4, 0.8));
    let since = beats(Happening::Dog, cue.seed).last(cue.since_s).1 as f32;
    let bark = 1.0 - ramp(0.06, 0.22, since);
    let wag = sin_turns(cue.since_s * 3.1) * 0.09;
    // Fur insulates: the trunk is cooler than face and belly.
    let fur = Look::rounded(coat, 300.5 + draw.range(-1.0, 1.0));
    let dark_fur = Look::rounded(shade(coat, 0.7), 300.0);
    let face = Look {
        kelvin: Some(306.0),
        ..fur
    };
    let spot = Look::rounded(patch_rgb, 300.5);
    let black = Look::new([0.06, 0.05, 0.05], 304.0);
    let hop = 0.03 * bark;
    for (x, look) in [(-0.34, dark_fur), (0.24, dark_fur), (-0.24, fur), (0.34, fur)] {
        brush.limb([x, 0.4 + hop], [x + 0.01, 0.04], 0.052, look);
        brush.limb([x + 0.01, 0.035], [x + 0.07, 0.03], 0.035, look);
    }
    brush.limb([-0.4, 0.52 + hop], [-0.6, 0.76 + wag], 0.035, fur);
    brush.limb([-0.27, 0.47 + hop], [0.26, 0.5 + hop], 0.15 * stocky, fur);
    if spotted {
        brush.ellipse(-0.12, 0.53 + hop, [0.13, 0.09], spot);
        brush.ellipse(0.28, 0.44 + hop, [0.08, 0.1], spot);
    }
    brush.limb([0.32, 0.56 + hop], [0.44, 0.7 + hop], 0.095 * stocky, fur);
    let head = [0.48, 0.76 + hop];
    let open = 0.02 + 0.1 * bark;
    brush.limb(
        [head[0] + 0.04, head[1] - 0.06],
        [head[0] + 0.23, head[1] - 0.06 - open],
        0.032,
        dark_fur,
    );
    let tongue = Look::new([0.9, 0.35, 0.4], 309.0);
    brush.limb(
        [head[0] + 0.08, head[1] - 0.055],
        [head[0] + 0.24, head[1] - 0.06 - open * 0.6],
        0.022,
        tongue,
    );
    brush.ellipse(head[0], head[1], [0.135, 0.12], face);
    brush.limb(
        [head[0] + 0.05, head[1] - 0.02],
        [head[0] + 0.22, head[1] - 0.03 + open * 0.2],
        0.055,
        face,
    );
    brush.ellipse(head[0] + 0.27, head[1] - 0.02, [0.035, 0.03], black);
    brush.ellipse(head[0] + 0.06, head[1] + 0.04, [0.022, 0.024], black);
    if pointed {
        brush.triangle(
            [head[0] - 0.1, head[1] + 0.07],
            [head[0] + 0.02, head[1] + 0.1],
            [head[0] - 0.06, head[1] + 0.25],
            dark_fur,
        );
    } else {
        brush.tilted(head[0] - 0.09, head[1] - 0.03, [0.05, 0.13], -0.04, dark_fur);
    }
    let collar = [draw.range(0.3, 0.95), draw.range(0.05, 0.4), draw.range(0.05, 0.9)];
    brush.limb(
        [0.34, 0.66 + hop],
        [0.46, 0.6 + hop],
        0.022,
        Look::new(collar, cue.ambient + 3.0),
    );
}

pub(crate) fn rooster(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let body = draw.pick([
        [0.62, 0.25, 0.1],
        [0.9, 0.88, 0.84],
        [0.2, 0.16, 0.15],
        [0.75, 0.45, 0.15],
    ]);
    let hackle = draw.pick([[0.9, 0.55, 0.12], [0.95, 0.75, 0.3], [0.8, 0.35, 0.1]]);
    let tail = draw.pick([[0.05, 0.3, 0.25], [0.08, 0.15, 0.35], [0.1, 0.1, 0.1]]);
    let mut brush = Brush::standing(patches, &mut draw, &cue.stage.optics, 0.62, (0.42, 0.82));
    let since = beats(Happening::Rooster, cue.seed).last(cue.since_s).1 as f32;
    // The neck stretches and the beak opens while it crows.
    let crow = ramp(0.0, 0.12, since) * (1.0 - ramp(0.9, 1.2, since));
    let feather = Look::rounded(body, 301.0);
    let red = Look::rounded([0.88, 0.08, 0.08], 308.0);
    let yellow = Look::new([0.95, 0.75, 0.15], 303.0);
    for x in [-0.04, 0.05] {
        brush.limb([x, 0.2], [x, 0.02], 0.013, yellow);
        brush.limb([x - 0.03, 0.012], [x + 0.06, 0.012], 0.01, yellow);
    }
    for plume in 0..6 {
        let turn = plume as f32 / 5.0;
        let tip = [
            -0.28 - 0.12 * sin_turns(f64::from(turn) * 0.5),
            0.62 - 0.42 * turn + 0.02 * sin_turns(cue.since_s * 0.7),
        ];
        let middle = [-0.24, 0.5 - 0.2 * turn];
        let plumage = Look::rounded(shade(tail, 1.0 + 0.5 * turn), 298.0);
        brush.limb([-0.12, 0.32], middle, 0.03, plumage);
        brush.limb(middle, tip, 0.026, plumage);
    }
    brush.ellipse(0.0, 0.29, [0.18, 0.125], feather);
    brush.tilted(-0.03, 0.3, [0.12, 0.07], -0.03, Look::rounded(shade(tail, 1.5), 299.5));
    let head = [0.17 - 0.02 * crow, 0.51 + 0.05 * crow];
    brush.limb([0.1, 0.34], head, 0.06, Look::rounded(hackle, 302.0));
    brush.ellipse(
        head[0],
        head[1],
        [0.05, 0.048],
        Look {
            kelvin: Some(307.0),
            ..red
        },
    );
    for (dx, dy) in [(-0.035, 0.05), (0.0, 0.068), (0.032, 0.055)] {
        brush.ellipse(head[0] + dx, head[1] + dy, [0.022, 0.034], red);
    }
    let gape = 0.028 * crow;
    brush.triangle(
        [head[0] + 0.035, head[1] + 0.02],
        [head[0] + 0.035, head[1]],
        [head[0] + 0.11, head[1] + gape],
        yellow,
    );
    brush.triangle(
        [head[0] + 0.035, head[1]],
        [head[0] + 0.035, head[1] - 0.018],
        [head[0] + 0.1, head[1] - gape],
        yellow,
    );
    brush.ellipse(head[0] + 0.025, head[1] - 0.055, [0.018, 0.036], red);
    brush.ellipse(
        head[0] + 0.015,
        head[1] + 0.012,
        [0.01, 0.01],
        Look::new([0.05, 0.04, 0.04], 305.0),
    );
}
