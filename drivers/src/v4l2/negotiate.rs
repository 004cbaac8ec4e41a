//! Settling format, size and rate with a device: what a board asks for is given or refused with what the device offers;
//! what it leaves open is the device's choice.

use super::device::Camera;
use super::fault::fault;
use sensebind_core::{ErrorKind, SourceError};
use std::io;
use v4l::FourCC;
use v4l::format::FieldOrder;
use v4l::fraction::Fraction;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::video::Capture as _;
use v4l::video::capture::Parameters;

/// Rates this close are the same: 29.97 Hz for 30.
const RATE_TOLERANCE: f32 = 0.01;

/// What a board asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Any of these; without a current one among them, the first that the device offers.
    formats: Vec<FourCC>,
    size: Option<(u32, u32)>,
    rate_hz: Option<f32>,
}

/// What device and board agreed on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreed {
    pub(crate) format: FourCC,
    /// Pixels per row.
    pub(crate) width: u32,
    /// Rows.
    pub(crate) height: u32,
    /// Bytes from one row to the next; 0 where the device leaves it open.
    pub(super) stride: usize,
    /// Frames per second, as the device answered.
    pub(crate) rate_hz: f32,
}

impl Wanted {
    /// One of `formats`, the best first, and the size and rate that the settings of `driver` ask for.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`] for half a size or an impossible rate.
    pub(crate) fn new(
        driver: &str,
        formats: Vec<FourCC>,
        (width, height): (Option<u32>, Option<u32>),
        rate_hz: Option<f32>,
    ) -> Result<Self, SourceError> {
        let refuse = |what: String| {
            Err(SourceError::new(
                ErrorKind::Misconfigured,
                format!("driver {driver}: {what}"),
            ))
        };
        let size = match (width, height) {
            (None, None) => None,
            (Some(width), Some(height)) if width > 0 && height > 0 => Some((width, height)),
            (width, height) => {
                let one = |side: Option<u32>| side.map_or("none".to_owned(), |side| side.to_string());
                let (width, height) = (one(width), one(height));
                return refuse(format!(
                    "width {width} and height {height}: expected both, in pixels, or neither for the device's own"
                ));
            }
        };
        match rate_hz {
            Some(rate) if !(rate > 0.0 && rate <= 10_000.0) => refuse(format!(
                "rate_hz {rate}: expected frames per second, more than 0 and at most 10000"
            )),
            _ => Ok(Self { formats, size, rate_hz }),
        }
    }

    pub(crate) fn formats(&self) -> &[FourCC] {
        &self.formats
    }

    /// Settles format, size and rate with `camera`.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`] with what the device offers instead; else as the device answers.
    pub(crate) fn agree(&self, camera: &Camera) -> Result<Agreed, SourceError> {
        let (device, at) = (&camera.device, camera.at.as_str());
        let failed = |doing: &'static str| move |error: io::Error| fault(at, doing, &error);
        let current = device.format().map_err(failed("its format cannot be read"))?;
        let offered: Vec<_> = device
            .enum_formats()
            .map_err(failed("its formats cannot be listed"))?
            .into_iter()
            .map(|format| format.fourcc)
            .collect();
        let none = || refusal(at, "no pixel format", &list(&self.formats), &list(&offered));
        let best = || self.formats.iter().copied().find(|format| offered.contains(format));
        let format = if self.formats.contains(&current.fourcc) {
            Some(current.fourcc)
        } else {
            best()
        };
        let format = format.ok_or_else(none)?;

        let (width, height) = self.size.unwrap_or((current.width, current.height));
        let mut ask = v4l::Format::new(width, height, format);
        ask.field_order = FieldOrder::Progressive;
        let answer = device.set_format(&ask).map_err(failed("its format cannot be set"))?;
        if answer.fourcc != format {
            return Err(none());
        }
        if self.size.is_some_and(|size| size != (answer.width, answer.height)) {
            let asked = format!("{width}x{height}");
            return Err(refusal(at, "no such size", &asked, &sizes(camera, format, &answer)));
        }
        if matches!(
            answer.field_order,
            FieldOrder::Alternate
                | FieldOrder::SequentialTB
                | FieldOrder::SequentialBT
                | FieldOrder::Top
                | FieldOrder::Bottom
        ) {
            let found = format!("{} fields", answer.field_order);
            return Err(refusal(
                at,
                "half pictures",
                "whole pictures (progressive or interlaced)",
                &found,
            ));
        }
        Ok(Agreed {
            format,
            width: answer.width,
            height: answer.height,
            stride: answer.stride as usize,
            rate_hz: self.agree_rate(camera, &answer)?,
        })
    }

    fn agree_rate(&self, camera: &Camera, picture: &v4l::Format) -> Result<f32, SourceError> {
        let answer = match self.rate_hz {
            Some(rate) => camera.device.set_params(&Parameters::new(interval(rate))),
            None => camera.device.params(),
        };
        let answered = match answer {
            Ok(parameters) => hz(parameters.interval),
            Err(error) if super::fault::is_gone(&error) => return Err(fault(&camera.at, "its rate", &error)),
            // A device without rates to choose from.
            Err(_) => None,
        };
        match (self.rate_hz, answered) {
            (Some(asked), Some(rate)) if (rate / asked - 1.0).abs() > RATE_TOLERANCE => {
                let offered = rates(camera, picture).unwrap_or_else(|| format!("{rate} Hz"));
                Err(refusal(&camera.at, "no such rate", &format!("{asked} Hz"), &offered))
            }
            (_, Some(rate)) => Ok(rate),
            (Some(asked), None) => Ok(asked),
            (None, None) => {
                let message = format!("{}: the device does not say how fast it is; set rate_hz", camera.at);
                Err(SourceError::new(ErrorKind::Misconfigured, message))
            }
        }
    }
}

fn refusal(at: &str, what: &str, asked: &str, offered: &str) -> SourceError {
    let message = format!("{at}: {what}: asked for {asked}, the device offers {offered}");
    SourceError::new(ErrorKind::Misconfigured, message)
}

fn list(formats: &[FourCC]) -> String {
    let names: Vec<_> = formats
        .iter()
        .map(|format| format.to_string().trim_end().to_owned())
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// The sizes in which the device gives `format`; where it does not list them, the nearest, which it answered.
fn sizes(camera: &Camera, format: FourCC, nearest: &v4l::Format) -> String {
    let sizes = camera.device.enum_framesizes(format).unwrap_or_default();
    let sizes: Vec<_> = sizes
        .into_iter()
        .map(|size| match size.size {
            FrameSizeEnum::Discrete(size) => format!("{}x{}", size.width, size.height),
            FrameSizeEnum::Stepwise(s) => format!(
                "{}x{} to {}x{} in steps of {}x{}",
                s.min_width, s.min_height, s.max_width, s.max_height, s.step_width, s.step_height
            ),
        })
        .collect();
    if sizes.is_empty() {
        format!("{}x{}", nearest.width, nearest.height)
    } else {
        format!("{format} in {}", sizes.join(", "))
    }
}

/// The rates at which the device gives `picture`.
fn rates(camera: &Camera, picture: &v4l::Format) -> Option<String> {
    let (width, height) = (picture.width, picture.height);
    let intervals = camera.device.enum_frameintervals(picture.fourcc, width, height).ok()?;
    let rates: Vec<_> = intervals
        .into_iter()
        .filter_map(|interval| match interval.interval {
            FrameIntervalEnum::Discrete(interval) => Some(hz(interval)?.to_string()),
            FrameIntervalEnum::Stepwise(step) => Some(format!("{} to {}", hz(step.max)?, hz(step.min)?)),
        })
        .collect();
    (!rates.is_empty()).then(|| format!("{width}x{height} at {} Hz", rates.join(", ")))
}

/// The interval of `rate_hz`, to a thousandth of a hertz.
fn interval(rate_hz: f32) -> Fraction {
    // Between 1 and 10 million: `Wanted::new` limits it.
    let millihertz = (f64::from(rate_hz) * 1000.0).round().max(1.0) as u32;
    let mut divisor = (1000, millihertz);
    while divisor.1 != 0 {
        divisor = (divisor.1, divisor.0 % divisor.1);
    }
    Fraction::new(1000 / divisor.0, millihertz / divisor.0)
}

fn hz(interval: Fraction) -> Option<f32> {
    let rate = f64::from(interval.denominator) / f64::from(interval.numerator);
    (rate.is_finite() && rate > 0.0).then_some(rate as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_intervals_are_each_others_reciprocal() {
        for (rate, numerator, denominator) in [
            (30.0, 1, 30),
            (7.5, 2, 15),
            (29.97, 100, 2997),
            (1.0, 1, 1),
            (0.25, 4, 1),
        ] {
            let interval = interval(rate);
            assert_eq!((interval.numerator, interval.denominator), (numerator, denominator));
            assert!((hz(interval).unwrap() / rate - 1.0).abs() < 1e-6);
        }
        assert_eq!(hz(Fraction::new(0, 30)), None);
        assert_eq!(hz(Fraction::new(1, 0)), None);
    }

    #[test]
    fn impossible_wishes_are_refused() {
        let wanted = |size, rate| Wanted::new("v4l2_camera", Vec::new(), size, rate);
        assert!(wanted((Some(640), Some(480)), Some(30.0)).is_ok() && wanted((None, None), None).is_ok());
        for size in [(Some(640), None), (None, Some(480)), (Some(0), Some(480))] {
            let error = wanted(size, None).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured);
            assert!(
                error.message.contains("v4l2_camera: width") && error.message.contains("both"),
                "{error}"
            );
        }
        for rate in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let error = wanted((None, None), Some(rate)).unwrap_err();
            assert!(error.message.contains(&format!("rate_hz {rate}")), "{error}");
        }
    }
}
