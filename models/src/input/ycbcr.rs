//! Brightness and colour difference → RGB: what cameras deliver uncompressed.
//!
//! BT.601 (ITU-R BT.601-7, 2.5) in limited range, 8 bits: Y from 16 to 235, Cb and Cr from 16 to 240 around 128;
//! `R = 1.164 (Y - 16) + 1.596 (Cr - 128)`, `G = 1.164 (Y - 16) - 0.392 (Cb - 128) - 0.813 (Cr - 128)`,
//! `B = 1.164 (Y - 16) + 2.017 (Cb - 128)`, limited to 0..=255. In fixed point, so that every machine gives the same
//! pixels. Pixels that share a colour get it unchanged, without interpolation.

/// Bits after the point.
const POINT: u32 = 16;
const LUMA: i32 = fixed(255.0 / 219.0);
const CR_IN_RED: i32 = fixed(1.402 * 255.0 / 224.0);
const CB_IN_GREEN: i32 = fixed(-1.772 * 0.114 / 0.587 * 255.0 / 224.0);
const CR_IN_GREEN: i32 = fixed(-1.402 * 0.299 / 0.587 * 255.0 / 224.0);
const CB_IN_BLUE: i32 = fixed(1.772 * 255.0 / 224.0);

const fn fixed(factor: f64) -> i32 {
    (factor * (1 << POINT) as f64).round() as i32
}

/// Appends the pixels of pairs `Y Cb Y Cr` (4:2:2).
pub(super) fn yuyv(pairs: &[u8], out: &mut Vec<u8>) {
    out.extend(pairs.as_chunks::<4>().0.iter().flat_map(|&[left, cb, right, cr]| {
        let colour = colour(cb, cr);
        join(pixel(left, colour), pixel(right, colour))
    }));
}

/// Appends the pixels of a plane of Y, `width` (even) a row, then one of `Cb Cr` for every square of four (4:2:0).
pub(super) fn nv12(planes: &[u8], width: usize, out: &mut Vec<u8>) {
    // Two thirds are brightness.
    let (luma, chroma) = planes.split_at(planes.len() / 3 * 2);
    for (rows, colours) in luma.chunks_exact(2 * width).zip(chroma.chunks_exact(width)) {
        for row in rows.chunks_exact(width) {
            let pairs = row.as_chunks::<2>().0.iter().zip(colours.as_chunks::<2>().0);
            out.extend(pairs.flat_map(|(&[left, right], &[cb, cr])| {
                let colour = colour(cb, cr);
                join(pixel(left, colour), pixel(right, colour))
            }));
        }
    }
}

/// What the colour adds to red, green and blue.
fn colour(cb: u8, cr: u8) -> [i32; 3] {
    let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
    [CR_IN_RED * cr, CB_IN_GREEN * cb + CR_IN_GREEN * cr, CB_IN_BLUE * cb]
}

fn pixel(y: u8, colour: [i32; 3]) -> [u8; 3] {
    let half = 1 << (POINT - 1);
    let grey = LUMA * (i32::from(y) - 16) + half;
    // Below 2^16 * 600: no overflow.
    colour.map(|part| ((grey + part) >> POINT).clamp(0, 255) as u8)
}

fn join([a, b, c]: [u8; 3], [d, e, f]: [u8; 3]) -> [u8; 6] {
    [a, b, c, d, e, f]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard's own numbers, before any simplification.
    fn exact(y: u8, cb: u8, cr: u8) -> [f64; 3] {
        let [kr, kg, kb] = [0.299, 0.587, 0.114];
        let y = (f64::from(y) - 16.0) / 219.0;
        let (cb, cr) = ((f64::from(cb) - 128.0) / 224.0, (f64::from(cr) - 128.0) / 224.0);
        let (red, blue) = (y + 2.0 * (1.0 - kr) * cr, y + 2.0 * (1.0 - kb) * cb);
        let green = (y - kr * red - kb * blue) / kg;
        [red, green, blue].map(|v| (v * 255.0).clamp(0.0, 255.0))
    }

    #[test]
    fn every_colour_is_the_standards_within_rounding() {
        let (mut out, mut worst) = (Vec::new(), 0.0f64);
        for cb in 0..=255 {
            for cr in (0..=255).step_by(3) {
                let pairs: Vec<u8> = (0..=255).step_by(2).flat_map(|y| [y, cb, y + 1, cr]).collect();
                out.clear();
                yuyv(&pairs, &mut out);
                for (y, got) in (0..=255).zip(out.as_chunks::<3>().0) {
                    for (got, want) in got.iter().zip(exact(y, cb, cr)) {
                        worst = worst.max((f64::from(*got) - want).abs());
                    }
                }
            }
        }
        assert!(worst < 0.51, "{worst}");
    }
}
