//! What writing a camera's raw video costs: a second of 720p YUYV at 30 pictures per second, 55 MB, as pictures of a
//! camera (edges, gradients and noise of a level or two), flushed at its end. Time per second of video is the share of a core.
//!
//! `cargo bench -p sensebind-record`

use divan::Bencher;
use divan::counter::BytesCount;
use sensebind_core::{Format, Frame, PixelLayout, StreamId, Timestamp};
use sensebind_record::LogWriter;
use std::fs::File;
use std::io::BufWriter;

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
const FRAMES: usize = 30;

fn main() {
    divan::main();
}

/// One picture of a scene that moves, with noise up to `noise` levels either way.
fn picture(nth: usize, noise: u32) -> Vec<u8> {
    let mut state = 0x9e37_79b9 ^ nth as u32;
    let mut jitter = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) % (2 * noise + 1)
    };
    (0..HEIGHT)
        .flat_map(|y| (0..WIDTH * 2).map(move |x| (x, y)))
        .map(|(x, y)| {
            let is_chroma = x % 2 == 1;
            let wall = 60 + y / 8 + (x + nth * 4) / 32 % 2 * 40;
            let base = if is_chroma { 120 + x / 400 } else { wall };
            (base as u32 + jitter()) as u8
        })
        .collect()
}

#[divan::bench(args = [0, 1, 2, 4], sample_count = 5)]
fn second_of_720p_yuyv(bencher: Bencher, noise: u32) {
    let format = Format::Image {
        width: WIDTH as u32,
        height: HEIGHT as u32,
        layout: PixelLayout::Yuyv,
        rate_hz: FRAMES as f32,
    };
    let pictures: Vec<_> = (0..FRAMES).map(|nth| picture(nth, noise)).collect();
    let stream = StreamId::new("camera");
    let bytes = pictures.iter().map(Vec::len).sum::<usize>();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        let file = tempfile::tempfile().expect("a folder for temporary files");
        let mut log = LogWriter::new(BufWriter::<File>::new(file)).expect("room for 55 MB");
        for (nth, data) in pictures.iter().enumerate() {
            let frame = Frame {
                seq: nth as u64,
                captured: Timestamp::from_nanos(nth as u64 * 33_333_333),
                calibrating: false,
                data,
            };
            log.write(&stream, &format, &frame).expect("room for 55 MB");
        }
        log.flush().expect("room for 55 MB");
        log.finish().expect("room for 55 MB")
    });
}
