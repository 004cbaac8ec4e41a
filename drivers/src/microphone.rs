//! Microphones, through ALSA.
//!
//! Capture times come from the card's own position when it hands a packet over, and its count of samples is a clock of its
//! own. A [`ClockMap`](sensebind_core::ClockMap) ties it to the host's, so that packets follow one another as evenly as the
//! card's crystal ticks. What the card or the reader lost is a gap in the sequence numbers.

use crate::settings;
use crate::sound::cards;
use crate::sound::input::{Input, Wanted};
use crate::sound::packet_queue::{Receiver, Reporter, Shape, packet_queue};
use crate::sound::packet_times::PacketTimes;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, StreamConfig};
use schemars::{JsonSchema, Schema};
use sensebind_core::{
    AudioSample, Clock, ClockFix, Driver, ErrorKind, Format, Found, Frame, Reading, Sense, Settings, Source,
    SourceError, StreamId,
};
use serde::Deserialize;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Sound that waits at most for the reading thread, milliseconds.
const QUEUE_MS: u32 = 1000;

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MicrophoneSettings {
    /// ALSA's name for it, with the card's id: `plughw:CARD=PCH,DEV=0` converts to any rate, `hw:CARD=PCH,DEV=0` takes the
    /// card as it is; `default` is the system's choice.
    #[serde(default = "default_device")]
    device: String,
    /// Samples per second.
    #[serde(default = "default_rate_hz")]
    rate_hz: u32,
    /// Which of its channels, counted from 1, in the order in which they are delivered: `[1, 2]` for stereo.
    #[serde(default = "default_channels")]
    channels: Vec<u16>,
    /// How samples are delivered; converted where the device has others.
    #[serde(default)]
    sample: Sample,
    /// Length of a packet, milliseconds; the device may round it. It holds two: longer ones survive a busier machine.
    #[serde(default = "default_packet_ms")]
    packet_ms: u32,
    /// Known delay from sound to sample that the device does not report, milliseconds: taken off capture times.
    #[serde(default)]
    latency_ms: f64,
}

fn default_device() -> String {
    "default".to_owned()
}

fn default_rate_hz() -> u32 {
    16_000
}

fn default_channels() -> Vec<u16> {
    vec![1]
}

fn default_packet_ms() -> u32 {
    20
}

/// A sample as delivered.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Sample {
    #[default]
    I16,
    F32,
}

impl Sample {
    fn delivered(self) -> AudioSample {
        match self {
            Self::I16 => AudioSample::I16,
            Self::F32 => AudioSample::F32,
        }
    }
}

impl MicrophoneSettings {
    fn parse(driver: &str, settings: &Settings) -> Result<Self, SourceError> {
        let parsed: Self = settings::parse(driver, settings)?;
        let wrong = |what: String| {
            Err(SourceError::new(
                ErrorKind::Misconfigured,
                format!("driver {driver}: {what}"),
            ))
        };
        let Self {
            rate_hz,
            packet_ms,
            latency_ms,
            ..
        } = parsed;
        if let Some(card) = numbered_card(&parsed.device) {
            return wrong(format!(
                "device = \"{}\" names card {card} by its place, which changes when another is plugged in: name it by its \
                 id, as `sensebind devices` does",
                parsed.device
            ));
        }
        if !(1000..=768_000).contains(&rate_hz) {
            return wrong(format!("rate_hz = {rate_hz}, expected 1000 to 768000"));
        }
        if parsed.channels.is_empty()
            || parsed.channels.len() > 64
            || !parsed.channels.iter().all(|c| (1..=64).contains(c))
        {
            return wrong(format!(
                "channels = {:?}, expected 1 to 64 of them, counted from 1",
                parsed.channels
            ));
        }
        if !(1..=1000).contains(&packet_ms) {
            return wrong(format!("packet_ms = {packet_ms}, expected 1 to 1000"));
        }
        if !(0.0..=10_000.0).contains(&latency_ms) {
            return wrong(format!("latency_ms = {latency_ms}, expected 0 to 10000"));
        }
        Ok(parsed)
    }
}

/// The card in `hw:0,0` or `hw:CARD=0,DEV=0`.
fn numbered_card(device: &str) -> Option<&str> {
    let card = card(device)?;
    card.bytes().all(|byte| byte.is_ascii_digit()).then_some(card)
}

/// The card in `hw:PCH,0` or `hw:CARD=PCH,DEV=0`.
fn card(device: &str) -> Option<&str> {
    let (_, arguments) = device.split_once(':')?;
    let card = arguments.split(',').next()?.trim();
    let card = card.strip_prefix("CARD=").unwrap_or(card);
    (!card.is_empty()).then_some(card)
}

/// The driver.
#[derive(Debug)]
pub struct Microphone;

impl Driver for Microphone {
    fn name(&self) -> &'static str {
        "microphone"
    }

    fn about(&self) -> &'static str {
        "a microphone or other sound input, through ALSA"
    }

    /// The sound cards that record, by the kernel's list; opens none.
    fn find(&self) -> Vec<Found> {
        cards::capture_devices(Path::new(cards::PROC))
            .into_iter()
            .map(|found| {
                let device = format!("plughw:CARD={},DEV={}", found.card, found.device);
                Found {
                    name: "microphone".to_owned(),
                    about: format!("{}, sound card {}", found.name, found.card),
                    settings: Settings::from_iter([("device".to_owned(), device.into())]),
                }
            })
            .collect()
    }

    fn schema(&self) -> Schema {
        settings::schema::<MicrophoneSettings>()
    }

    fn check(&self, settings: &Settings) -> Result<(), SourceError> {
        MicrophoneSettings::parse(self.name(), settings).map(drop)
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
        let settings = MicrophoneSettings::parse(self.name(), settings)?;
        Ok(Box::new(MicrophoneSource::open(stream, &settings, clock)?))
    }
}

/// An open microphone.
struct MicrophoneSource {
    stream: StreamId,
    format: Format,
    input: Input,
    /// `None` only while it is dropped.
    capture: Option<cpal::Stream>,
    queue: Receiver,
    times: PacketTimes,
    latency: Duration,
    captured: Vec<u8>,
    delivered: Vec<u8>,
}

impl MicrophoneSource {
    fn open(stream: &StreamId, settings: &MicrophoneSettings, clock: &Arc<dyn Clock>) -> Result<Self, SourceError> {
        let name = &settings.device;
        // ALSA writes its own view of every failure to stderr; from this thread it goes into a buffer instead.
        let alsa_says = alsa::Output::local_error_handler().ok();
        let explained = |error: cpal::Error| {
            let said = alsa_says.as_ref().map(|said| said.borrow().to_string());
            explain(name, &error, said.as_deref().unwrap_or_default())
        };
        let device = named(name).map_err(explained)?;
        let offers: Vec<_> = device.supported_input_configs().map_err(explained)?.collect();
        let wanted = Wanted {
            rate_hz: settings.rate_hz,
            channels: &settings.channels,
            sample: settings.sample.delivered(),
            packet_ms: settings.packet_ms,
        };
        let input = Input::choose(&wanted, &offers)
            .map_err(|why| SourceError::new(ErrorKind::Misconfigured, format!("microphone {name}: {why}")))?;
        let shape = Shape {
            rate_hz: settings.rate_hz,
            frame_bytes: input.frame_bytes(),
            packets: (QUEUE_MS / settings.packet_ms).max(4) as usize,
            packet_bytes: input.period_frames as usize * input.frame_bytes(),
        };
        let (mut sender, queue) = packet_queue(shape, clock).map_err(|error| {
            SourceError::new(
                ErrorKind::Reopen,
                format!("microphone {name}: no queue for its sound: {error}"),
            )
        })?;
        let reporter = sender.reporter();
        let config = StreamConfig {
            channels: input.channels,
            sample_rate: settings.rate_hz,
            buffer_size: BufferSize::Fixed(input.period_frames),
        };
        let heard = move |data: &cpal::Data, info: &cpal::InputCallbackInfo| {
            let at = info.timestamp();
            sender.send(data.bytes(), at.callback.saturating_duration_since(at.capture));
        };
        let failed = {
            let name = name.clone();
            move |error| report(&reporter, &name, &error)
        };
        let capture = device
            .build_input_stream_raw(config, input.sample, heard, failed, None)
            .map_err(explained)?;
        capture.play().map_err(explained)?;
        Ok(Self {
            stream: stream.clone(),
            format: Format::Audio {
                rate_hz: settings.rate_hz,
                channels: settings.channels.len() as u16,
                sample: settings.sample.delivered(),
            },
            input,
            capture: Some(capture),
            queue,
            times: PacketTimes::new(settings.rate_hz),
            latency: Duration::from_secs_f64(settings.latency_ms * 1e-3),
            captured: Vec::new(),
            delivered: Vec::new(),
        })
    }
}

impl Source for MicrophoneSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let Some(packet) = self.queue.receive(timeout, &mut self.captured)? else {
            return Ok(Reading::Waiting);
        };
        let frames = packet.bytes / self.input.frame_bytes();
        let (seq, captured) = self.times.place(&packet, frames as u64);
        self.input.deliver(&self.captured, &mut self.delivered);
        Ok(Reading::Frame(Frame {
            seq,
            captured: captured.before(self.latency),
            calibrating: false,
            data: &self.delivered,
        }))
    }

    fn clock_fix(&self) -> Option<ClockFix> {
        self.times.clock_fix()
    }
}

impl Drop for MicrophoneSource {
    fn drop(&mut self) {
        let capture = self.capture.take();
        // It waits for the audio thread, which a hanging device may hold for ever.
        let closing = thread::Builder::new().name("closing microphone".to_owned());
        // Without a thread it is dropped here and now.
        let _ = closing.spawn(move || drop(capture));
    }
}

impl fmt::Debug for MicrophoneSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MicrophoneSource")
            .field("stream", &self.stream)
            .field("format", &self.format)
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

/// ALSA's device called `name`.
fn named(name: &str) -> Result<cpal::Device, cpal::Error> {
    let host = cpal::host_from_id(cpal::HostId::Alsa)?;
    let found = if name == "default" {
        host.default_input_device()
    } else {
        host.device_by_id(&cpal::DeviceId::new(cpal::HostId::Alsa, name))
    };
    found.ok_or(cpal::Error::new(cpal::ErrorKind::DeviceNotAvailable))
}

/// What a user needs to know about `error` at opening; `said` is what ALSA has to say.
fn explain(device: &str, error: &cpal::Error, said: &str) -> SourceError {
    let proc = Path::new(cards::PROC);
    let card = card(device);
    let index = card.and_then(|card| cards::index(proc, card));
    let kind = match kind(error.kind()) {
        // ALSA does not list what it may not open.
        ErrorKind::Gone if (card.is_none() || index.is_some()) && cards::denied(Path::new("/dev/snd"), index) => {
            ErrorKind::Denied
        }
        kind => kind,
    };
    let why = match kind {
        ErrorKind::Denied => {
            "permission denied: add this user to the group `audio` (sudo usermod -aG audio $USER) and \
                              log in again"
                .to_owned()
        }
        ErrorKind::Gone => {
            let attached: Vec<_> = cards::capture_devices(proc).into_iter().map(|d| d.card).collect();
            let attached = if attached.is_empty() {
                "none".to_owned()
            } else {
                attached.join(", ")
            };
            format!("no such device; sound cards that record: {attached}")
        }
        ErrorKind::Reopen if error.kind() == cpal::ErrorKind::DeviceBusy => {
            "another program records from it; close that, or name ALSA's `default`".to_owned()
        }
        _ => error.to_string(),
    };
    let said = said
        .lines()
        .next()
        .map(|line| format!(" (ALSA: {})", line.trim()))
        .unwrap_or_default();
    SourceError::new(kind, format!("microphone {device}: {why}{said}"))
}

/// What the audio thread hears while it captures.
fn report(reporter: &Reporter, device: &str, error: &cpal::Error) {
    match error.kind() {
        cpal::ErrorKind::Xrun => reporter.overrun(),
        // It goes on: at the usual priority, or on another route.
        cpal::ErrorKind::RealtimeDenied | cpal::ErrorKind::DeviceChanged => {}
        cause => reporter.fail(SourceError::new(kind(cause), format!("microphone {device}: {error}"))),
    }
}

fn kind(cause: cpal::ErrorKind) -> ErrorKind {
    match cause {
        cpal::ErrorKind::DeviceNotAvailable => ErrorKind::Gone,
        cpal::ErrorKind::PermissionDenied => ErrorKind::Denied,
        cpal::ErrorKind::UnsupportedConfig | cpal::ErrorKind::UnsupportedOperation | cpal::ErrorKind::InvalidInput => {
            ErrorKind::Misconfigured
        }
        _ => ErrorKind::Reopen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<MicrophoneSettings, SourceError> {
        MicrophoneSettings::parse("microphone", &toml::from_str(text).unwrap())
    }

    #[test]
    fn settings_are_checked() {
        assert!(settings("").is_ok());
        assert!(settings("device = \"plughw:CARD=C920,DEV=0\"\nlatency_ms = 12.5").is_ok());
        for (text, named) in [
            ("device = \"hw:0,0\"", "card 0"),
            ("device = \"plughw:CARD=1,DEV=0\"", "card 1"),
            ("rate_hz = 5", "rate_hz = 5"),
            ("channels = []", "channels = []"),
            ("channels = [0]", "[0]"),
            ("packet_ms = 0", "packet_ms = 0"),
            ("latency_ms = nan", "NaN"),
        ] {
            let error = settings(text).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured);
            assert!(error.message.contains(named), "{error}");
        }
    }
}
