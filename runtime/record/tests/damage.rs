//! Logs that were cut off, damaged, or made to hurt: what is whole is delivered, the rest is accounted for.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

mod logs;

use foxglove::messages::{CompressedImage, RawAudio, RawImage};
use logs::*;
use proptest::prelude::*;
use prost::Message as _;
use sensebind_core::{Format, PixelLayout, Timestamp};
use sensebind_record::{LogReader, ReadOptions, RecordError};
use std::io::Cursor;

/// Offset and length (head included) of the chunks of a log.
fn chunks(log: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = mcap::MAGIC.len();
    while at + 9 <= log.len() {
        let size = 9 + u64::from_le_bytes(log[at + 1..at + 9].try_into().unwrap()) as usize;
        if log[at] == mcap::records::op::CHUNK {
            found.push((at, size));
        }
        at += size;
    }
    found
}

#[test]
fn files_that_are_no_log() {
    for (bytes, says) in [
        (&b""[..], "found nothing"),
        (b"\x89MCAP", "found 89 4D 43 41 50"),
        (b"RIFF1234WAVE", "found 52 49 46 46"),
    ] {
        let error = LogReader::new(Cursor::new(bytes.to_vec()), ReadOptions::default()).unwrap_err();
        assert!(matches!(error, RecordError::NotMcap { .. }));
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn nothing_but_the_first_bytes_is_a_log_cut_off_at_once() {
    let mut reader = open(mcap::MAGIC.to_vec());
    assert!(reader.streams().is_empty() && reader.span().is_none());
    let (frames, loss) = read_all(&mut reader);
    assert!(frames.is_empty());
    assert_eq!(loss.recovered_until, None);
}

#[test]
fn a_cut_log_gives_every_whole_chunk_and_says_what_is_missing() {
    let whole = camera_and_imu(10);
    let (all, _) = read_all(&mut open(whole.clone()));
    let chunks = chunks(&whole);
    assert!(chunks.len() >= 4);
    let (start, size) = chunks[2];
    for cut in [start, start + 1, start + 40, start + size - 1] {
        let (frames, loss) = read_all(&mut open(whole[..cut].to_vec()));
        assert!(!frames.is_empty() && frames[..] == all[..frames.len()], "cut at {cut}");
        assert_eq!(loss.bytes_lost, (cut - start) as u64);
        let last = Timestamp::from_nanos(frames.last().unwrap().1);
        assert_eq!(loss.recovered_until, Some(last));
        assert_eq!(loss.chunks_lost, 0);
    }
    // One whole chunk more, one chunk's frames more.
    let (two, _) = read_all(&mut open(whole[..start].to_vec()));
    let (three, _) = read_all(&mut open(whole[..start + size].to_vec()));
    assert!(three.len() > two.len());
}

#[test]
fn a_log_without_its_summary_lost_nothing() {
    let whole = camera_and_imu(2);
    let (all, _) = read_all(&mut open(whole.clone()));
    let (frames, loss) = read_all(&mut open(whole[..whole.len() - 20].to_vec()));
    assert_eq!(frames, all);
    assert!(!loss.is_damage() && loss.recovered_until.is_none());
}

#[test]
fn a_channel_declared_in_a_chunk_before_its_own_is_found_without_the_summary() {
    let grey = Format::Image {
        width: 1024,
        height: 1100,
        layout: PixelLayout::Gray8,
        rate_hz: 1.0,
    };
    let mut log = new_log();
    for (time, stream) in ["a", "a", "b", "b", "a"].into_iter().enumerate() {
        write_frame(&mut log, stream, &grey, time as u64, &noise(1024 * 1100, time as u64));
    }
    let whole = finished(log);
    let (last, size) = *chunks(&whole).last().unwrap();
    for log in [whole[..last + size].to_vec(), whole] {
        let (frames, _) = read_all(&mut open(log));
        let streams: Vec<_> = frames.iter().map(|(stream, ..)| *stream).collect();
        assert_eq!(streams, [0, 0, 1, 1, 0]);
    }
}

#[test]
fn a_damaged_chunk_costs_itself_only() {
    let whole = camera_and_imu(10);
    let (all, _) = read_all(&mut open(whole.clone()));
    let (start, size) = chunks(&whole)[1];
    let mut damaged = whole.clone();
    damaged[start + size / 2] ^= 0x10;
    let (frames, loss) = read_all(&mut open(damaged));
    assert_eq!((loss.chunks_lost, loss.bytes_lost), (1, size as u64));
    assert!(loss.is_damage() && loss.recovered_until.is_none());
    assert!(loss.to_string().contains("1 damaged chunks passed over"), "{loss}");
    assert!(frames.len() < all.len() && frames.last() == all.last());
    assert!(frames.iter().all(|frame| all.contains(frame)), "a frame was changed");
}

#[test]
fn a_bomb_stays_small() {
    // 64 MiB of zeros in a few kilobytes, opened with a limit of 1 MiB.
    let mut log = mcap::WriteOptions::new().create(Cursor::new(Vec::new())).unwrap();
    let channel = log.add_channel(0, "/x", "cdr", &Default::default()).unwrap();
    let header = mcap::records::MessageHeader {
        channel_id: channel,
        sequence: 0,
        log_time: 0,
        publish_time: 0,
    };
    log.write_to_known_channel(&header, &vec![0; 64 << 20]).unwrap();
    log.finish().unwrap();
    let log = log.into_inner().into_inner();
    assert!(log.len() < 64 << 10);
    let small = ReadOptions {
        max_chunk_bytes: 1 << 20,
        ..ReadOptions::default()
    };
    let mut reader = LogReader::new(Cursor::new(log.clone()), small).unwrap();
    let (frames, loss) = read_all(&mut reader);
    assert!(frames.is_empty());
    assert_eq!(loss.chunks_lost, 1);
    assert!(loss.to_string().contains("limit 1048576"), "{loss}");

    // The header says less than comes out: found at the first byte too many.
    let (start, _) = chunks(&log)[0];
    let mut lying = log;
    lying[start + 9 + 16..start + 9 + 24].copy_from_slice(&1000u64.to_le_bytes());
    let (_, loss) = read_all(&mut LogReader::new(Cursor::new(lying), small).unwrap());
    assert!(loss.to_string().contains("its header says 1000"), "{loss}");
}

#[test]
fn messages_that_make_no_sense_are_refused_and_counted() {
    let good = RawImage {
        width: 4,
        height: 2,
        encoding: "mono8".to_owned(),
        step: 4,
        data: vec![7; 8].into(),
        ..RawImage::default()
    };
    let bad = [
        (
            "absurd size",
            RawImage {
                width: u32::MAX,
                step: u32::MAX,
                ..good.clone()
            },
        ),
        (
            "absurd size",
            RawImage {
                height: 0,
                data: Vec::new().into(),
                ..good.clone()
            },
        ),
        (
            "rows are shorter",
            RawImage {
                step: 3,
                ..good.clone()
            },
        ),
        (
            "not rows times height",
            RawImage {
                data: vec![7; 9].into(),
                ..good.clone()
            },
        ),
        (
            "not rows times height",
            RawImage {
                data: Vec::new().into(),
                ..good.clone()
            },
        ),
        (
            "pixel encoding",
            RawImage {
                encoding: "bayer_rggb8".to_owned(),
                ..good.clone()
            },
        ),
        (
            "odd size",
            RawImage {
                encoding: "nv12".to_owned(),
                height: 3,
                ..good.clone()
            },
        ),
        (
            "odd size",
            RawImage {
                encoding: "yuv422_yuy2".to_owned(),
                width: 3,
                ..good.clone()
            },
        ),
    ];
    let channel = OneChannel::protobuf("/cam/image", "foxglove.RawImage");
    for (says, image) in bad {
        // Alone there is no stream; after a good one the stream goes on without it.
        let log = channel.log(mcap::WriteOptions::new(), &[image.encode_to_vec()]);
        let mut reader = open(log);
        assert!(reader.streams().is_empty(), "{says}");
        assert_eq!(read_all(&mut reader).1.frames_refused, 1);

        let messages = [&good, &image, &good].map(RawImage::encode_to_vec);
        let (frames, loss) = read_all(&mut open(channel.log(mcap::WriteOptions::new(), &messages)));
        assert_eq!((frames.len(), loss.frames_refused), (2, 1), "{says}: {loss}");
        let first_bad = [&image, &good].map(RawImage::encode_to_vec);
        let (frames, _) = read_all(&mut open(channel.log(mcap::WriteOptions::new(), &first_bad)));
        assert_eq!(frames.len(), 1, "{says}");
        let same_size = (image.width, image.height, &image.encoding) == (good.width, good.height, &good.encoding);
        if same_size {
            assert!(loss.to_string().contains(says), "{loss}");
        }
    }
    let sound = RawAudio {
        data: vec![0; 6].into(),
        format: "pcm-s16".to_owned(),
        sample_rate: 16_000,
        number_of_channels: 1,
        ..RawAudio::default()
    };
    let channel = OneChannel::protobuf("/mic/audio", "foxglove.RawAudio");
    for bad in [
        RawAudio {
            data: vec![0; 5].into(),
            ..sound.clone()
        },
        RawAudio {
            sample_rate: 0,
            ..sound.clone()
        },
        RawAudio {
            number_of_channels: u32::MAX,
            ..sound.clone()
        },
        RawAudio {
            format: "opus".to_owned(),
            ..sound.clone()
        },
        RawAudio {
            sample_rate: 8_000,
            ..sound.clone()
        },
    ] {
        let messages = [&sound, &bad, &sound].map(RawAudio::encode_to_vec);
        let (frames, loss) = read_all(&mut open(channel.log(mcap::WriteOptions::new(), &messages)));
        assert_eq!((frames.len(), loss.frames_refused), (2, 1), "{bad:?}: {loss}");
    }
}

#[test]
fn what_is_no_sensor_is_named_once_and_is_no_damage() {
    let channel = OneChannel::cdr("/tf", "tf2_msgs/msg/TFMessage");
    let (frames, loss) = read_all(&mut open(
        channel.log(mcap::WriteOptions::new(), &vec![vec![0, 1, 0, 0]; 7]),
    ));
    assert!(frames.is_empty() && !loss.is_damage());
    assert_eq!(loss.messages_skipped_by_reason.len(), 1);
    let (reason, count) = loss.messages_skipped_by_reason.first_key_value().unwrap();
    assert_eq!((reason.contains("/tf"), *count), (true, 7));

    let webp = CompressedImage {
        data: b"RIFF....WEBP".to_vec().into(),
        format: "webp".to_owned(),
        ..CompressedImage::default()
    };
    let channel = OneChannel::protobuf("/cam/image", "foxglove.CompressedImage");
    let log = channel.log(mcap::WriteOptions::new(), &[webp.encode_to_vec()]);
    let (_, loss) = read_all(&mut open(log));
    assert_eq!(loss.frames_refused, 1);
    assert!(loss.to_string().contains("/cam/image"), "{loss}");
}

#[test]
fn times_that_jump_back_are_delivered() {
    let grey = Format::Image {
        width: 2,
        height: 1,
        layout: PixelLayout::Gray8,
        rate_hz: 1.0,
    };
    let mut log = new_log();
    for time in [10, 20, 15, u64::MAX, 0] {
        write_frame(&mut log, "grey", &grey, time, &[1, 2]);
    }
    let (frames, loss) = read_all(&mut open(finished(log)));
    let times: Vec<_> = frames.iter().map(|(_, time, _)| *time).collect();
    assert_eq!(times, [0, 10, 15, 20, u64::MAX]);
    assert!(!loss.is_damage());
}

#[test]
fn memory_stays_within_its_limit_when_chunks_overlap() {
    let log = camera_and_imu(10);
    let tight = ReadOptions {
        max_held_bytes: 1,
        ..ReadOptions::default()
    };
    let mut reader = LogReader::new(Cursor::new(log), tight).unwrap();
    let (frames, loss) = read_all(&mut reader);
    assert_eq!(frames.len(), 600);
    assert!(!loss.is_damage());
}

/// A log with every kind of record in it, some kilobytes, in one of four ways of storing.
fn small_log(how: u8) -> Vec<u8> {
    if how == 0 {
        let mut log = new_log();
        for step in 0..4 {
            for (name, format) in every_format() {
                write_frame(&mut log, name, &format, step * 1_000, &frame_bytes(&format, step));
            }
        }
        return finished(log);
    }
    let options = mcap::WriteOptions::new().chunk_size(Some(512));
    let options = match how {
        1 => options.use_chunks(false),
        2 => options.compression(None).calculate_chunk_crcs(false),
        _ => options
            .compression(Some(mcap::Compression::Lz4))
            .calculate_chunk_crcs(false),
    };
    let image = RawImage {
        width: 4,
        height: 2,
        encoding: "mono16".to_owned(),
        step: 8,
        data: vec![7; 16].into(),
        ..RawImage::default()
    };
    OneChannel::protobuf("/cam/image", "foxglove.RawImage").log(options, &vec![image.encode_to_vec(); 30])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_bytes_make_it_panic_or_run_on(
        how in 0u8..4,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut log = small_log(how);
        for (at, byte) in edits {
            let at = mcap::MAGIC.len() + at.index(log.len() - mcap::MAGIC.len());
            log[at] = byte;
        }
        if let Some(cut) = cut {
            log.truncate(mcap::MAGIC.len() + cut.index(log.len() - mcap::MAGIC.len()));
        }
        let mut reader = open(log);
        let streams = reader.streams().to_vec();
        let (frames, _) = read_all(&mut reader);
        prop_assert!(frames.len() <= 48 + 30);
        for (stream, _, data) in frames {
            let format = streams[stream].1;
            if let Some(bytes) = format.frame_bytes() {
                prop_assert_eq!(data.len(), bytes);
            }
        }
    }

    #[test]
    fn any_bytes_after_the_magic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&mut open([mcap::MAGIC, &bytes].concat()));
    }
}
