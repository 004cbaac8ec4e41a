//! Sound bytes → mono f32 in [-1, 1].

use super::InputError;
use sensebind_core::AudioSample;

/// Appends channel 0 of interleaved little-endian samples to `out`, 16-bit ones divided by 32768.
///
/// Channel 0, not a down-mix, is the reference's rule: its filter bank reads channel 0 alone, after one mean over all
/// channels was subtracted, and the filter bank's own mean removal cancels that (parity specification 4.2).
///
/// # Errors
/// [`InputError::Size`] for no channels or a packet that ends inside a sample; [`InputError::Unusable`] for a NaN or an
/// infinity.
pub fn first_channel(bytes: &[u8], sample: AudioSample, channels: u16, out: &mut Vec<f32>) -> Result<(), InputError> {
    let sample_bytes = match sample {
        AudioSample::I16 => 2,
        AudioSample::F32 => 4,
    };
    let stride = sample_bytes * usize::from(channels);
    if stride == 0 || !bytes.len().is_multiple_of(stride) {
        let expected = format!("whole samples of {channels} channels, {stride} bytes each");
        return Err(InputError::size("sound", expected, format!("{} bytes", bytes.len())));
    }
    let begin = out.len();
    match sample {
        AudioSample::I16 => {
            let first = bytes.chunks_exact(stride).map(|s| i16::from_le_bytes([s[0], s[1]]));
            out.extend(first.map(|s| f32::from(s) / 32768.0));
        }
        AudioSample::F32 => {
            out.extend(
                bytes
                    .chunks_exact(stride)
                    .map(|s| f32::from_le_bytes([s[0], s[1], s[2], s[3]])),
            );
            if let Some(i) = out[begin..].iter().position(|x| !x.is_finite()) {
                let why = format!("sample {i} is {}, expected finite numbers in [-1, 1]", out[begin + i]);
                out.truncate(begin);
                return Err(InputError::unusable("sound", why));
            }
        }
    }
    Ok(())
}
