//! Sound files: WAV, FLAC and Ogg Vorbis.
//!
//! The stream has the file's own rate and channels. Up to 16 bits it delivers 16-bit samples, exactly those of the file;
//! else (24 bits, floating point, Vorbis) `f32`.

use crate::paced::Paced;
use crate::settings;
use schemars::{JsonSchema, Schema};
use sensebind_core::{
    AudioSample, Clock, Driver, ErrorKind, Format, Found, Frame, Reading, Sense, Settings, Source, SourceError,
    StreamId, Timestamp,
};
use serde::Deserialize;
use std::fmt;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;

/// Channels beyond this are taken for damage.
const MAX_CHANNELS: usize = 64;
/// Sample rates beyond this are taken for damage.
const MAX_RATE_HZ: u32 = 768_000;
/// Samples [`decode_audio`] holds at most: 1 GiB, four and a half hours of one channel at 16 kHz.
const MAX_DECODED_SAMPLES: usize = 1 << 28;

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    /// A WAV, FLAC or Ogg Vorbis file. It is played once, in real time.
    path: PathBuf,
}

/// The driver.
#[derive(Debug)]
pub struct AudioFile;

impl Driver for AudioFile {
    fn name(&self) -> &'static str {
        "audio_file"
    }

    fn about(&self) -> &'static str {
        "a WAV, FLAC or Ogg Vorbis file"
    }

    /// Nothing: files are named, not looked for.
    fn find(&self) -> Vec<Found> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        settings::schema::<FileSettings>()
    }

    fn check(&self, settings: &Settings) -> Result<(), SourceError> {
        settings::parse::<FileSettings>(self.name(), settings).map(drop)
    }

    fn sense(&self, _settings: &Settings) -> Result<Sense, SourceError> {
        Ok(Sense::Audio)
    }

    fn open(
        &self,
        stream: &StreamId,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Box<dyn Source>, SourceError> {
        let FileSettings { path } = settings::parse(self.name(), settings)?;
        Ok(Box::new(Paced::new(open(&path)?, stream, clock)))
    }
}

/// The file at `path` as a finite stream: times from 0, named after the file, never waiting.
///
/// # Errors
/// [`ErrorKind::Misconfigured`] when it cannot be read.
pub fn open(path: impl AsRef<Path>) -> Result<Box<dyn Source>, SourceError> {
    let source =
        AudioFileSource::open(path.as_ref()).map_err(|e| SourceError::new(ErrorKind::Misconfigured, e.to_string()))?;
    Ok(Box::new(source))
}

/// A sound file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AudioFileError {
    /// The file cannot be opened.
    #[error("{path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no sound file, or one of another kind.
    #[error("{path}: expected WAV, FLAC or Ogg Vorbis: {why}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        why: String,
    },
    /// It has a header but no sound.
    #[error("{path}: holds no sound: record it again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Its header or its data make no sense.
    #[error("{path}: damaged after {at_s:.3} s: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Seconds of sound before the damage.
        at_s: f64,
        /// What was expected and found.
        why: String,
    },
    /// More samples than are decoded at once.
    #[error("{path}: more than {limit} samples: cut it into shorter files, or replay it")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most samples, all channels together.
        limit: usize,
    },
}

/// A whole sound file.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedAudio {
    /// Samples per second and channel.
    pub rate_hz: u32,
    /// Interleaved channels.
    pub channels: u16,
    /// Interleaved samples in [-1, 1] (integers divided by 2^(bits-1)).
    pub samples: Vec<f32>,
}

/// Decodes a WAV, FLAC or Ogg Vorbis file. Blocks on the disk; holds the whole file.
///
/// # Errors
/// [`AudioFileError`].
pub fn decode_audio(path: impl AsRef<Path>) -> Result<DecodedAudio, AudioFileError> {
    let mut packets = Packets::open(path.as_ref())?;
    let mut samples = Vec::new();
    let mut packet = Vec::new();
    while let Some(decoded) = packets.next()? {
        decoded.copy_to_vec_interleaved::<f32>(&mut packet);
        if samples.len() + packet.len() > MAX_DECODED_SAMPLES {
            return Err(AudioFileError::TooLong {
                path: packets.path,
                limit: MAX_DECODED_SAMPLES,
            });
        }
        samples.extend_from_slice(&packet);
    }
    if samples.is_empty() {
        return Err(AudioFileError::Empty { path: packets.path });
    }
    Ok(DecodedAudio {
        rate_hz: packets.rate_hz,
        channels: packets.channels,
        samples,
    })
}

/// A sound file as a stream.
#[derive(Debug)]
struct AudioFileSource {
    packets: Packets,
    stream: StreamId,
    format: Format,
    /// Packets delivered.
    seq: u64,
    bytes: Vec<u8>,
    /// Time of the packet in `bytes`, when it has been decoded but not delivered: the first one shows whether there is
    /// any sound.
    waiting: Option<Timestamp>,
}

impl AudioFileSource {
    fn open(path: &Path) -> Result<Self, AudioFileError> {
        let packets = Packets::open(path)?;
        let sample = if packets.bits.is_some_and(|bits| bits <= 16) {
            AudioSample::I16
        } else {
            AudioSample::F32
        };
        let format = Format::Audio {
            rate_hz: packets.rate_hz,
            channels: packets.channels,
            sample,
        };
        let name = path.file_stem().unwrap_or(path.as_os_str());
        let mut source = Self {
            packets,
            stream: StreamId::new(name.to_string_lossy()),
            format,
            seq: 0,
            bytes: Vec::new(),
            waiting: None,
        };
        source.waiting = source.decode()?;
        if source.waiting.is_none() {
            return Err(AudioFileError::Empty { path: path.to_owned() });
        }
        Ok(source)
    }

    /// Decodes the next packet into `bytes`; its time, or `None` at the end.
    fn decode(&mut self) -> Result<Option<Timestamp>, AudioFileError> {
        let time = self.packets.time();
        let Some(decoded) = self.packets.next()? else {
            return Ok(None);
        };
        if matches!(
            self.format,
            Format::Audio {
                sample: AudioSample::I16,
                ..
            }
        ) {
            decoded.copy_bytes_to_vec_interleaved_as::<i16>(&mut self.bytes);
        } else {
            decoded.copy_bytes_to_vec_interleaved_as::<f32>(&mut self.bytes);
        }
        Ok(Some(time))
    }
}

impl Source for AudioFileSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, _timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let captured = match self.waiting.take() {
            Some(time) => time,
            None => self
                .decode()
                .map_err(|e| SourceError::new(ErrorKind::Misconfigured, e.to_string()))?
                .ok_or_else(SourceError::ended)?,
        };
        let seq = self.seq;
        self.seq += 1;
        Ok(Reading::Frame(Frame {
            seq,
            captured,
            calibrating: false,
            data: &self.bytes,
        }))
    }
}

/// Decodes a file packet by packet.
struct Packets {
    path: PathBuf,
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate_hz: u32,
    channels: u16,
    /// Bits of a sample in the file, where it says.
    bits: Option<u32>,
    /// Samples per channel delivered.
    samples: u64,
}

impl fmt::Debug for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packets")
            .field("path", &self.path)
            .field("samples", &self.samples)
            .finish_non_exhaustive()
    }
}

impl Packets {
    fn open(path: &Path) -> Result<Self, AudioFileError> {
        let unsupported = |why: String| AudioFileError::Unsupported {
            path: path.to_owned(),
            why,
        };
        let open_error = |source| AudioFileError::Open {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(open_error)?;
        if file.metadata().map_err(open_error)?.len() == 0 {
            return Err(AudioFileError::Empty { path: path.to_owned() });
        }
        let stream = MediaSourceStream::new(Box::new(file), Default::default());
        let probe =
            || symphonia::default::get_probe().probe(&Hint::new(), stream, Default::default(), Default::default());
        let reader = guarded(probe).map_err(|e| unsupported(e.to_string()))?;
        let track = reader
            .default_track(TrackType::Audio)
            .ok_or_else(|| unsupported("no sound track".to_owned()))?;
        let parameters = track
            .codec_params
            .as_ref()
            .and_then(|parameters| parameters.audio())
            .ok_or_else(|| unsupported("unknown codec".to_owned()))?;
        let absurd = |why: String| AudioFileError::Damaged {
            path: path.to_owned(),
            at_s: 0.0,
            why,
        };
        let rate_hz = parameters.sample_rate.unwrap_or(0);
        if !(1..=MAX_RATE_HZ).contains(&rate_hz) {
            return Err(absurd(format!(
                "expected 1 to {MAX_RATE_HZ} samples per second, found {rate_hz}"
            )));
        }
        let channels = parameters.channels.as_ref().map_or(0, |c| c.count());
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(absurd(format!(
                "expected 1 to {MAX_CHANNELS} channels, found {channels}"
            )));
        }
        let make_decoder =
            || symphonia::default::get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default());
        let decoder = guarded(make_decoder).map_err(|e| unsupported(e.to_string()))?;
        let (track, bits) = (track.id, parameters.bits_per_sample);
        Ok(Self {
            path: path.to_owned(),
            reader,
            decoder,
            track,
            rate_hz,
            channels: channels as u16,
            bits,
            samples: 0,
        })
    }

    /// Time of the next packet's first sample.
    fn time(&self) -> Timestamp {
        let nanos = u128::from(self.samples) * 1_000_000_000 / u128::from(self.rate_hz);
        Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The next packet that holds sound; `None` at the end, also of a file that was cut off.
    fn next(&mut self) -> Result<Option<GenericAudioBufferRef<'_>>, AudioFileError> {
        let at_s = self.time().as_secs_f64();
        let damaged = |why: String| AudioFileError::Damaged {
            path: self.path.clone(),
            at_s,
            why,
        };
        loop {
            let packet = match guarded(|| self.reader.next_packet()) {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(None),
                Err(Error::IoError(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(None);
                }
                Err(e) => return Err(damaged(e.to_string())),
            };
            if packet.track_id != self.track {
                continue;
            }
            let decode = || {
                let decoded = self.decoder.decode(&packet)?;
                let spec = decoded.spec();
                Ok((spec.rate(), spec.channels().count(), decoded.frames()))
            };
            let (rate_hz, channels, frames) = guarded(decode).map_err(|e| damaged(e.to_string()))?;
            if rate_hz != self.rate_hz || channels != usize::from(self.channels) {
                return Err(damaged(format!(
                    "expected {} Hz x{} throughout, found {rate_hz} Hz x{channels}",
                    self.rate_hz, self.channels
                )));
            }
            if frames > 0 {
                self.samples += frames as u64;
                // Borrowed anew: a borrow from inside the loop would last as long as the loop.
                return Ok(Some(self.decoder.last_decoded()));
            }
        }
    }
}

/// Runs a step of the decoder; a panic becomes an error. symphonia 0.6 computes with a damaged header's numbers before it
/// checks them (WAV: rate x block size), which panics where overflow is checked.
fn guarded<T>(step: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or(Err(Error::DecodeError("numbers that no sound file has")))
}
