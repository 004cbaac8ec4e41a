//! What is captured from a sound input, and which part of it is delivered how.

use cpal::{SampleFormat, SupportedBufferSize, SupportedStreamConfigRange};
use sensebind_core::AudioSample;
use std::collections::BTreeSet;

/// What is asked of an input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub rate_hz: u32,
    /// Counted from 1.
    pub channels: &'a [u16],
    pub sample: AudioSample,
    pub packet_ms: u32,
}

/// What is captured for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Input {
    pub channels: u16,
    pub sample: SampleFormat,
    pub period_frames: u32,
    /// Counted from 0.
    picked: Vec<usize>,
    delivered: AudioSample,
}

impl Input {
    /// The smallest of `offers` that has all that is `wanted`, else in words what there is.
    pub fn choose(wanted: &Wanted<'_>, offers: &[SupportedStreamConfigRange]) -> Result<Self, String> {
        let rate_hz = wanted.rate_hz;
        let needed = wanted.channels.iter().copied().max().unwrap_or(1);
        let formats = formats(wanted.sample);
        let rank = |offer: &SupportedStreamConfigRange| {
            let rate = (offer.min_sample_rate()..=offer.max_sample_rate()).contains(&rate_hz);
            let format = formats.iter().position(|format| *format == offer.sample_format())?;
            // More channels than needed cost copying, 8 bits cost sound.
            let coarse = offer.sample_format() == SampleFormat::U8;
            (rate && offer.channels() >= needed).then_some((coarse, offer.channels(), format))
        };
        let ranked = offers.iter().filter_map(|offer| Some((rank(offer)?, offer)));
        let Some((_, offer)) = ranked.min_by_key(|(rank, _)| *rank) else {
            return Err(format!(
                "asked for channel {needed} at {rate_hz} Hz, it offers {}",
                listed(offers)
            ));
        };
        let period = (u64::from(rate_hz) * u64::from(wanted.packet_ms) / 1000).max(1);
        let period = u32::try_from(period).unwrap_or(u32::MAX);
        Ok(Self {
            channels: offer.channels(),
            sample: offer.sample_format(),
            period_frames: match *offer.buffer_size() {
                SupportedBufferSize::Range { min, max } => period.max(min).min(max).max(1),
                SupportedBufferSize::Unknown => period,
            },
            picked: wanted
                .channels
                .iter()
                .map(|channel| usize::from(*channel) - 1)
                .collect(),
            delivered: wanted.sample,
        })
    }

    /// Bytes of a captured frame: a sample of all channels.
    pub fn frame_bytes(&self) -> usize {
        usize::from(self.channels) * self.sample.sample_size()
    }

    /// Rewrites `captured` into `delivered`.
    pub fn deliver(&self, captured: &[u8], delivered: &mut Vec<u8>) {
        delivered.clear();
        let same = matches!(
            (self.sample, self.delivered),
            (SampleFormat::I16, AudioSample::I16) | (SampleFormat::F32, AudioSample::F32)
        );
        if same && cfg!(target_endian = "little") && self.picked.iter().copied().eq(0..usize::from(self.channels)) {
            delivered.extend_from_slice(captured);
            return;
        }
        let size = self.sample.sample_size();
        for frame in captured.chunks_exact(self.frame_bytes()) {
            for channel in &self.picked {
                let value = value(self.sample, &frame[channel * size..][..size]);
                match self.delivered {
                    // `as` limits to the range.
                    AudioSample::I16 => delivered.extend_from_slice(&((value * 32768.0).round() as i16).to_le_bytes()),
                    AudioSample::F32 => delivered.extend_from_slice(&value.to_le_bytes()),
                }
            }
        }
    }
}

/// A sample, in the host's byte order, in [-1, 1]: silence for a format that is never chosen.
fn value(format: SampleFormat, bytes: &[u8]) -> f32 {
    match (format, bytes) {
        (SampleFormat::U8, &[a]) => (f32::from(a) - 128.0) / 128.0,
        (SampleFormat::I16, &[a, b]) => f32::from(i16::from_ne_bytes([a, b])) / 32768.0,
        (SampleFormat::I32, &[a, b, c, d]) => i32::from_ne_bytes([a, b, c, d]) as f32 / 2_147_483_648.0,
        (SampleFormat::F32, &[a, b, c, d]) => f32::from_ne_bytes([a, b, c, d]),
        _ => 0.0,
    }
}

/// `offers` in words: `8000 to 48000 Hz, 1 to 2 channels, i16 i32`.
fn listed(offers: &[SupportedStreamConfigRange]) -> String {
    if offers.is_empty() {
        return "nothing to record".to_owned();
    }
    let words = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" ");
    let rates: BTreeSet<_> = offers
        .iter()
        .map(|o| (o.min_sample_rate(), o.max_sample_rate()))
        .collect();
    let rates: Vec<_> = rates
        .into_iter()
        .map(|(min, max)| {
            if min == max {
                min.to_string()
            } else {
                format!("{min} to {max}")
            }
        })
        .collect();
    let channels = offers.iter().map(SupportedStreamConfigRange::channels);
    let (fewest, most) = channels.fold((u16::MAX, 0), |(min, max), c| (min.min(c), max.max(c)));
    format!(
        "{} Hz, {fewest} to {most} channels, {}",
        rates.join(", "),
        words(offers.iter().map(|o| o.sample_format().to_string()).collect())
    )
}

/// What to capture for `sample`, best first.
fn formats(sample: AudioSample) -> [SampleFormat; 4] {
    use SampleFormat::{F32, I16, I32, U8};
    match sample {
        AudioSample::I16 => [I16, I32, F32, U8],
        AudioSample::F32 => [F32, I32, I16, U8],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(channels: u16, rates_hz: (u32, u32), sample: SampleFormat) -> SupportedStreamConfigRange {
        let period = SupportedBufferSize::Range { min: 64, max: 512 };
        SupportedStreamConfigRange::new(channels, rates_hz.0, rates_hz.1, period, sample)
    }

    fn wanted(rate_hz: u32, channels: &[u16]) -> Wanted<'_> {
        Wanted {
            rate_hz,
            channels,
            sample: AudioSample::I16,
            packet_ms: 20,
        }
    }

    #[test]
    fn takes_the_least_that_will_do() {
        let offers = [
            offer(6, (48_000, 48_000), SampleFormat::I16),
            offer(2, (48_000, 48_000), SampleFormat::I32),
            offer(2, (48_000, 48_000), SampleFormat::F32),
            offer(1, (48_000, 48_000), SampleFormat::U8),
        ];
        let stereo = Input::choose(&wanted(48_000, &[2, 1]), &offers).unwrap();
        assert_eq!((stereo.channels, stereo.sample), (2, SampleFormat::I32));
        assert_eq!((stereo.period_frames, &stereo.picked[..]), (512, &[1, 0][..]));
        let third = Wanted {
            sample: AudioSample::F32,
            packet_ms: 5,
            ..wanted(48_000, &[3])
        };
        let third = Input::choose(&third, &offers).unwrap();
        assert_eq!((third.channels, third.sample), (6, SampleFormat::I16));
        assert_eq!((third.period_frames, &third.picked[..]), (240, &[2][..]));
        let coarse = Input::choose(&wanted(48_000, &[1]), &offers[3..]).unwrap();
        assert_eq!(coarse.sample, SampleFormat::U8);
    }

    #[test]
    fn what_is_not_offered_is_refused_with_what_is() {
        let offers = [
            offer(1, (44_100, 44_100), SampleFormat::I16),
            offer(2, (48_000, 96_000), SampleFormat::I32),
        ];
        for wanted in [wanted(16_000, &[1]), wanted(44_100, &[2])] {
            let why = Input::choose(&wanted, &offers).unwrap_err();
            assert!(
                why.contains("44100, 48000 to 96000 Hz, 1 to 2 channels, i16 i32"),
                "{why}"
            );
            assert!(why.contains(&wanted.rate_hz.to_string()), "{why}");
        }
        let why = Input::choose(&wanted(16_000, &[1]), &[]).unwrap_err();
        assert!(why.contains("nothing to record"), "{why}");
    }

    #[test]
    fn converts_and_picks_channels() {
        let deliver = |sample, channels, picked: &[usize], delivered, captured: &[u8]| {
            let input = Input {
                channels,
                sample,
                period_frames: 1,
                picked: picked.to_vec(),
                delivered,
            };
            let mut out = Vec::new();
            input.deliver(captured, &mut out);
            out
        };
        let i16s = |values: &[i16]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        let f32s = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        use SampleFormat::{F32, I16, I32, U8};
        let stereo = i16s(&[1, -2, 30_000, -32_768]);
        assert_eq!(deliver(I16, 2, &[0, 1], AudioSample::I16, &stereo), stereo);
        assert_eq!(deliver(I16, 2, &[1], AudioSample::I16, &stereo), i16s(&[-2, -32_768]));
        assert_eq!(
            deliver(I16, 1, &[0], AudioSample::F32, &i16s(&[-32_768, 16_384])),
            f32s(&[-1.0, 0.5])
        );
        let loud = f32s(&[0.25, 1.5, -1.5]);
        assert_eq!(
            deliver(F32, 1, &[0], AudioSample::I16, &loud),
            i16s(&[8192, i16::MAX, i16::MIN])
        );
        assert_eq!(deliver(F32, 1, &[0], AudioSample::F32, &loud), loud);
        let i32s: Vec<u8> = [i32::MIN, 1 << 30].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(
            deliver(I32, 1, &[0], AudioSample::I16, &i32s),
            i16s(&[i16::MIN, 16_384])
        );
        assert_eq!(
            deliver(U8, 1, &[0], AudioSample::I16, &[0, 128, 192]),
            i16s(&[i16::MIN, 0, 16_384])
        );
    }
}
