//! The files of an IIO device's folder.

use std::sync::Arc;

use nix::errno::Errno;

use super::buffer::CLOCKS;
use super::device::{IioDevice, State};
use crate::channel::Reply;
use crate::node::{Node, OpenFile};

/// What one file stands for.
#[derive(Debug, Clone)]
pub(crate) enum Attribute {
    Constant(String),
    /// A channel's value now.
    Raw(usize),
    SamplingFrequency,
    TimestampClock,
    Enable,
    Length,
    Watermark,
    DataAvailable,
    /// Whether a channel is part of the scan.
    ChannelEnable(usize),
}

#[derive(Debug)]
struct AttributeNode {
    device: Arc<IioDevice>,
    attribute: Attribute,
}

/// Every file below the device's folder.
pub(crate) fn nodes(device: &Arc<IioDevice>) -> Vec<(String, Arc<dyn Node>)> {
    let spec = device.spec();
    let mut files = vec![
        ("name".to_owned(), Attribute::Constant(spec.name.clone())),
        ("sampling_frequency".to_owned(), Attribute::SamplingFrequency),
        ("current_timestamp_clock".to_owned(), Attribute::TimestampClock),
    ];
    for (name, value) in &spec.attributes {
        files.push((name.clone(), Attribute::Constant(value.clone())));
    }
    for (index, (name, _)) in spec.channels.iter().enumerate() {
        files.push((format!("{name}_raw"), Attribute::Raw(index)));
    }
    let mut places = vec![("buffer", "scan_elements")];
    if spec.new_style {
        places.push(("buffer0", "buffer0"));
    }
    for (buffer, elements) in places {
        files.push((format!("{buffer}/enable"), Attribute::Enable));
        files.push((format!("{buffer}/length"), Attribute::Length));
        files.push((format!("{buffer}/watermark"), Attribute::Watermark));
        files.push((format!("{buffer}/data_available"), Attribute::DataAvailable));
        for (index, (name, scan_type)) in device.scan_channels().into_iter().enumerate() {
            files.push((format!("{elements}/{name}_en"), Attribute::ChannelEnable(index)));
            files.push((
                format!("{elements}/{name}_index"),
                Attribute::Constant(index.to_string()),
            ));
            files.push((
                format!("{elements}/{name}_type"),
                Attribute::Constant(scan_type.to_string()),
            ));
        }
    }
    files
        .into_iter()
        .map(|(name, attribute)| {
            let device = Arc::clone(device);
            (name, Arc::new(AttributeNode { device, attribute }) as Arc<dyn Node>)
        })
        .collect()
}

impl Attribute {
    fn writable(&self) -> bool {
        !matches!(self, Self::Constant(_) | Self::Raw(_) | Self::DataAvailable)
    }

    fn show(&self, device: &IioDevice) -> Result<String, Errno> {
        if let Self::Raw(index) = self {
            return device.raw(*index).map(|value| value.to_string());
        }
        Ok(device.change(|state| match self {
            Self::Constant(value) => value.clone(),
            Self::Raw(_) => String::new(),
            Self::SamplingFrequency => format!("{:.6}", state.rate_hz),
            Self::TimestampClock => state.clock.0.to_owned(),
            Self::Enable => u8::from(state.buffer.enabled).to_string(),
            Self::Length => state.buffer.length.to_string(),
            Self::Watermark => state.buffer.watermark.to_string(),
            Self::DataAvailable => state.buffer.scans.len().to_string(),
            Self::ChannelEnable(index) => u8::from(state.buffer.enabled_channels[*index]).to_string(),
        }))
    }

    fn store(&self, device: &IioDevice, value: &str) -> Result<(), Errno> {
        let number = || value.parse::<usize>().map_err(|_| Errno::EINVAL);
        let truth = || match value {
            "1" | "y" | "Y" => Ok(true),
            "0" | "n" | "N" => Ok(false),
            _ => Err(Errno::EINVAL),
        };
        device.change(|state: &mut State| {
            match self {
                Self::SamplingFrequency => {
                    let rate_hz: f64 = value.parse().map_err(|_| Errno::EINVAL)?;
                    if !(rate_hz > 0.0 && rate_hz.is_finite()) {
                        return Err(Errno::EINVAL);
                    }
                    state.rate_hz = rate_hz;
                    state.schedule();
                }
                Self::TimestampClock => {
                    state.buffer.idle()?;
                    let clock = CLOCKS.into_iter().find(|(name, _)| *name == value);
                    state.clock = clock.ok_or(Errno::EINVAL)?;
                }
                Self::Enable => {
                    state.buffer.enable(truth()?)?;
                    state.schedule();
                }
                Self::Length => {
                    state.buffer.idle()?;
                    let length = number()?.max(1);
                    state.buffer.length = length;
                    state.buffer.watermark = state.buffer.watermark.min(length);
                }
                Self::Watermark => {
                    state.buffer.idle()?;
                    let watermark = number()?;
                    if watermark == 0 || watermark > state.buffer.length {
                        return Err(Errno::EINVAL);
                    }
                    state.buffer.watermark = watermark;
                }
                Self::ChannelEnable(index) => {
                    state.buffer.idle()?;
                    state.buffer.enabled_channels[*index] = truth()?;
                }
                Self::Constant(_) | Self::Raw(_) | Self::DataAvailable => return Err(Errno::EINVAL),
            }
            Ok(())
        })
    }
}

impl Node for AttributeNode {
    fn is_text(&self) -> bool {
        true
    }

    fn permissions(&self) -> u32 {
        if self.attribute.writable() { 0o644 } else { 0o444 }
    }

    fn read(&self, _file: OpenFile, offset: u64, size: usize, reply: Reply) {
        match self.attribute.show(&self.device) {
            Ok(mut text) => {
                text.push('\n');
                let rest = text.as_bytes().get(offset as usize..).unwrap_or_default();
                reply.bytes(&rest[..rest.len().min(size)]);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn write(&self, _file: OpenFile, bytes: &[u8], reply: Reply) {
        let stored = std::str::from_utf8(bytes)
            .map_err(|_| Errno::EINVAL)
            .and_then(|text| self.attribute.store(&self.device, text.trim()));
        match stored {
            Ok(()) => reply.written(bytes.len()),
            Err(errno) => reply.error(errno),
        }
    }
}
