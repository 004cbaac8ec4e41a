//! Weights and inputs by formula: SplitMix64 seeded with FNV-1a of a name.
#![allow(dead_code, reason = "each user takes a part")]

/// Numbers by the formula: `f32((2 u - 1) scale + offset)`, u from the top 24 bits.
pub fn generate(tag_and_name: &str, count: usize, scale: f64, offset: f64) -> Vec<f32> {
    let seed = tag_and_name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    (1..=count as u64)
        .map(|k| {
            let mut z = seed.wrapping_add(k.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            let u = (z >> 40) as f64 / 16_777_216.0;
            ((u * 2.0 - 1.0) * scale + offset) as f32
        })
        .collect()
}

/// Scale and offset of a weight, by its name and shape.
pub fn scale_of(name: &str, shape: &[usize]) -> (f64, f64) {
    let fan_in = shape.iter().skip(1).product::<usize>() as f64;
    if name.ends_with("text.token_embedding.weight") || name.ends_with("text.pos_embed") {
        (0.05, 0.0)
    } else if ["cls_token", "pos_embed", "bias_k", "bias_v"]
        .iter()
        .any(|end| name.ends_with(end))
    {
        (0.5, 0.0)
    } else if name.ends_with("bias") {
        (0.2, 0.0)
    } else if shape.len() == 1 {
        (0.3, 1.0)
    } else if name.ends_with("in_proj_weight") {
        ((6.0 / fan_in).sqrt(), 0.0)
    } else {
        ((3.0 / fan_in).sqrt(), 0.0)
    }
}

/// Sum over i of (i + 1) × bits of value i, modulo 2^64.
pub fn checksum(values: &[f32]) -> u64 {
    (1_u64..).zip(values).fold(0, |sum, (i, v)| {
        sum.wrapping_add(i.wrapping_mul(u64::from(v.to_bits())))
    })
}
