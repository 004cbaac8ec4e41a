//! Encoders and prompts made here: what a frame shows is its first byte.

use sensebind_core::{
    Embedding, EncodeError, Encoder, EncoderSpec, Format, PixelLayout, Sense, SpaceId, StreamId, Window,
};
use sensebind_engine::Perceive;
use sensebind_space::{Detector, PromptFile, PromptSet};
use std::time::Duration;

pub const SPACE: &str = "test-space";

pub fn gray(rate_hz: f32) -> Format {
    Format::Image {
        width: 1,
        height: 1,
        layout: PixelLayout::Gray8,
        rate_hz,
    }
}

/// One axis per byte value: 0 is background, 255 cannot be encoded.
pub struct ByteEncoder(pub EncoderSpec);

impl ByteEncoder {
    pub fn boxed(sense: Sense, window_ms: u64, hop_ms: u64) -> Box<dyn Encoder> {
        Box::new(Self(EncoderSpec {
            sense,
            space: SpaceId::new(SPACE),
            dim: 4,
            logit_scale: 10.0,
            window: Duration::from_millis(window_ms),
            hop: Duration::from_millis(hop_ms),
        }))
    }
}

pub fn axis(i: usize) -> Embedding {
    let mut v = vec![0.0; 4];
    v[i] = 1.0;
    Embedding::new(SpaceId::new(SPACE), v).unwrap()
}

impl Encoder for ByteEncoder {
    fn spec(&self) -> &EncoderSpec {
        &self.0
    }
    fn accepts(&self, stream: &StreamId, format: &Format) -> Result<(), EncodeError> {
        match format {
            Format::Image {
                layout: PixelLayout::Gray8,
                ..
            } => Ok(()),
            other => Err(EncodeError::Mismatch {
                stream: stream.clone(),
                sense: self.0.sense,
                format: Box::new(*other),
                why: "expected gray8".into(),
            }),
        }
    }
    fn encode(&mut self, windows: &[Window], out: &mut Vec<Result<Embedding, EncodeError>>) -> Result<(), EncodeError> {
        out.extend(windows.iter().map(|w| {
            let newest = w.frames().next_back().map(|(_, data)| data[0]);
            match newest {
                Some(255) | None => Err(EncodeError::BadWindow {
                    stream: w.stream.clone(),
                    span: w.span,
                    why: "byte 255, expected 0 to 3".into(),
                }),
                Some(byte) => Ok(axis(usize::from(byte.min(3)))),
            }
        }));
        Ok(())
    }
}

pub fn perceive(encoders: Vec<Box<dyn Encoder>>) -> Perceive {
    let file = PromptFile::parse(
        "[[event]]\nlabel = \"one\"\nprompts = [\"one\"]\n[[event]]\nlabel = \"two\"\nprompts = [\"two\"]\n\
         [contrast]\nprompts = [\"nothing\"]\n",
    )
    .unwrap();
    let prompts = PromptSet::new(&file, &[], |phrase| {
        Some(match phrase {
            "one" => axis(1),
            "two" => axis(2),
            _ => axis(0),
        })
    })
    .unwrap();
    let detector = Detector::new(&prompts);
    Perceive::new(encoders, prompts, detector, 0.5).unwrap()
}
