//! What is written is read back, and other tools can read it too.

mod logs;

use foxglove::messages::{CompressedImage, Event as FoxgloveEvent, RawAudio, RawImage};
use logs::*;
use prost::Message as _;
use sensebind_core::{
    AudioSample, Event, Evidence, Format, Frame, Phase, PixelLayout, Sense, SpaceId, Span, StreamId, Timestamp,
};
use sensebind_record::{LogReader, LogWriter, RecordError};
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn every_format_comes_back_bit_for_bit() {
    let formats = every_format();
    let mut log = new_log();
    let mut written = Vec::new();
    for step in 0..10 {
        for (nth, (name, format)) in formats.iter().enumerate() {
            let time = step * 250_000_000 + nth as u64;
            let data = frame_bytes(format, time);
            write_frame(&mut log, name, format, time, &data);
            written.push((nth, time, data));
        }
    }
    let mut reader = open(finished(log));
    let streams: Vec<_> = reader
        .streams()
        .iter()
        .map(|(id, format)| (id.as_str().to_owned(), *format))
        .collect();
    let expected: Vec<_> = formats
        .iter()
        .map(|(name, format)| ((*name).to_owned(), *format))
        .collect();
    assert_eq!(streams, expected);
    assert_eq!(
        reader.duration(),
        Duration::from_nanos(9 * 250_000_000 + formats.len() as u64 - 1)
    );
    let (read, loss) = read_all(&mut reader);
    assert_eq!(read, written);
    assert!(!loss.is_damage(), "{loss}");
    assert_eq!(loss.to_string(), "nothing lost");
}

#[test]
fn float_sound_becomes_16_bit_once() {
    let format = |sample| Format::Audio {
        rate_hz: 16_000,
        channels: 1,
        sample,
    };
    let samples = [0.0f32, 0.5, -1.0, 1.0, 2.0, f32::NAN, 1.0 / 32768.0];
    let expected = [0i16, 16384, -32768, 32767, 32767, 0, 1];
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let mut log = new_log();
    write_frame(&mut log, "mic", &format(AudioSample::F32), 0, &bytes);
    let mut reader = open(finished(log));
    assert_eq!(reader.streams()[0].1, format(AudioSample::I16));
    let (read, _) = read_all(&mut reader);
    let expected: Vec<u8> = expected.iter().flat_map(|s| s.to_le_bytes()).collect();
    assert_eq!(read[0].2, expected);
}

#[test]
fn streams_are_merged_in_order_of_time_over_many_chunks() {
    let mut reader = open(camera_and_imu(10));
    assert_eq!(
        reader.streams().iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
        ["camera", "imu"]
    );
    let (read, loss) = read_all(&mut reader);
    assert_eq!(read.len(), 600);
    assert!(read.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    assert!(!loss.is_damage() && loss.recovered_until.is_none());
}

#[test]
fn what_was_written_late_comes_in_its_turn() {
    // A second stream is written one chunk (1 MB) after the first, though captured at the same time.
    let format = Format::Image {
        width: 1024,
        height: 256,
        layout: PixelLayout::Gray8,
        rate_hz: 1.0,
    };
    let mut log = new_log();
    for half in ["first", "second"] {
        for time in 0..12 {
            let data = noise(1024 * 256, time);
            write_frame(&mut log, half, &format, time * 1_000, &data);
        }
    }
    let (read, _) = read_all(&mut open(finished(log)));
    let order: Vec<_> = read.iter().map(|(stream, time, _)| (*time, *stream)).collect();
    let expected: Vec<_> = (0..12)
        .flat_map(|time| [(time * 1_000, 0), (time * 1_000, 1)])
        .collect();
    assert_eq!(order, expected);
}

#[test]
fn the_nominal_rate_comes_from_the_messages_where_metadata_lacks_it() {
    let imu = Format::Imu { rate_hz: 50.0 };
    let mut log = new_log();
    write_frame(&mut log, "imu", &imu, 0, &frame_bytes(&imu, 0));
    let bytes = finished(log);
    let message = mcap::MessageStream::new(&bytes).unwrap().next().unwrap().unwrap();
    let bare = OneChannel::cdr("/imu/data", "sensor_msgs/msg/Imu");
    let log = bare.log(mcap::WriteOptions::new(), &vec![message.data.to_vec(); 21]);
    let reader = open(log);
    assert_eq!(reader.streams()[0].0.as_str(), "/imu");
    assert_eq!(reader.streams()[0].1, Format::Imu { rate_hz: 10.0 });
}

#[test]
fn truth_comes_back_by_start_and_events_are_not_input() {
    let at = Timestamp::from_nanos;
    let event = Event {
        phase: Phase::End,
        id: 3,
        label: "dog_bark".to_owned(),
        start_ns: at(10),
        end_ns: Some(at(30)),
        score: 2.5,
        evidence: vec![Evidence {
            stream: StreamId::new("mic"),
            sense: Sense::Audio,
            score: 2.5,
        }],
        space: SpaceId::new("starter-1"),
    };
    let mut log = new_log();
    log.write_truth("rain", Span::new(at(20), at(40))).unwrap();
    log.write_truth("dog_bark", Span::new(at(10), at(3_000_000_123)))
        .unwrap();
    log.write_event(&event).unwrap();
    let bytes = finished(log);

    let message = mcap::MessageStream::new(&bytes)
        .unwrap()
        .map(Result::unwrap)
        .find(|m| m.channel.topic == "/events")
        .unwrap();
    assert_eq!(message.log_time, 30);
    let logged = FoxgloveEvent::decode(&*message.data).unwrap();
    let json = logged.metadata.iter().find(|pair| pair.key == "event").unwrap();
    assert_eq!(serde_json::from_str::<Event>(&json.value).unwrap(), event);

    let mut reader = open(bytes);
    assert_eq!(reader.events().unwrap(), [event]);
    let expected = [
        ("dog_bark".to_owned(), Span::new(at(10), at(3_000_000_123))),
        ("rain".to_owned(), Span::new(at(20), at(40))),
    ];
    assert_eq!(reader.truth(), expected);
    assert!(reader.streams().is_empty() && reader.duration().is_zero());
    let (read, loss) = read_all(&mut reader);
    assert!(read.is_empty() && loss.messages_skipped_by_reason.is_empty());
}

#[test]
fn other_tools_find_the_schemas_they_know() {
    let mut log = new_log();
    for (name, format) in every_format() {
        write_frame(&mut log, name, &format, 5_000_000_007, &frame_bytes(&format, 1));
    }
    let bytes = finished(log);
    let mut seen = BTreeMap::new();
    for message in mcap::MessageStream::new(&bytes).unwrap() {
        let message = message.unwrap();
        let schema = message.channel.schema.as_ref().unwrap();
        let what = match schema.name.as_str() {
            "foxglove.RawImage" => {
                let image = RawImage::decode(&*message.data).unwrap();
                let time = image.timestamp.unwrap();
                assert_eq!((time.sec(), time.nsec()), (5, 7));
                let (size, rows) = match image.encoding.as_str() {
                    "yuyv" => ((6, 4), 4),
                    // Half as many rows of colours.
                    "nv12" => ((6, 4), 6),
                    _ => ((7, 5), 5),
                };
                assert_eq!((image.width, image.height), size);
                assert_eq!(image.data.len(), image.step as usize * rows);
                image.encoding
            }
            "foxglove.CompressedImage" => CompressedImage::decode(&*message.data).unwrap().format,
            "foxglove.RawAudio" => RawAudio::decode(&*message.data).unwrap().format,
            "sensor_msgs/msg/Imu" => {
                // Encapsulation 4, stamp 8, empty name 4 + 1, up to the next 8, 37 doubles.
                assert_eq!(message.data.len(), 4 + 16 + 37 * 8);
                let text = std::str::from_utf8(&schema.data).unwrap();
                assert!(text.contains("geometry_msgs/Vector3 linear_acceleration\n"));
                format!("{} {}", schema.encoding, message.channel.message_encoding)
            }
            other => panic!("unexpected schema {other}"),
        };
        if schema.name.starts_with("foxglove.") {
            assert_eq!(schema.encoding, "protobuf");
            // A serialized FileDescriptorSet names the type it describes.
            let type_name = schema.name.trim_start_matches("foxglove.").as_bytes();
            assert!(schema.data.windows(type_name.len()).any(|w| w == type_name));
        }
        seen.insert(message.channel.topic.clone(), what);
    }
    let seen: Vec<_> = seen.iter().map(|(t, w)| (t.as_str(), w.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("/agc/image", "mono8"),
            ("/cam/bgr/image", "bgr8"),
            ("/grey/image", "mono8"),
            ("/i16/audio", "pcm-s16"),
            ("/imu/imu", "ros2msg cdr"),
            ("/jpeg/image", "jpeg"),
            ("/kelvin/image", "32FC1"),
            ("/metres/image", "32FC1"),
            ("/nv12/image", "nv12"),
            ("/png/image", "png"),
            ("/quarter_mm/image", "16UC1"),
            ("/rgb/image", "rgb8"),
            ("/tenths/image", "mono16"),
            ("/yuyv/image", "yuyv"),
        ]
    );
}

#[test]
fn the_writer_refuses_what_breaks_a_format_and_goes_on() {
    let rgb = every_format()[0].1;
    let mut log = new_log();
    let good = frame_bytes(&rgb, 1);
    let frame = |data| Frame {
        seq: 0,
        calibrating: false,
        captured: Timestamp::ZERO,
        data,
    };
    let stream = StreamId::new("rgb");
    log.write(&stream, &rgb, &frame(&good)).unwrap();
    let error = log.write(&stream, &rgb, &frame(&good[1..])).unwrap_err();
    assert!(matches!(error, RecordError::BadFrame { found: 104, .. }), "{error}");
    let error = log.write(&stream, &every_format()[1].1, &frame(&good)).unwrap_err();
    assert!(matches!(error, RecordError::FormatChanged { .. }), "{error}");
    let audio = every_format()[5].1;
    for bad in [&[][..], &[1, 2, 3]] {
        assert!(log.write(&StreamId::new("a"), &audio, &frame(bad)).is_err());
    }
    log.write(&stream, &rgb, &frame(&good)).unwrap();
    assert_eq!(read_all(&mut open(finished(log))).0.len(), 2);
}

#[test]
fn pixels_that_share_their_colours_come_in_even_sizes() {
    let mut log = new_log();
    for (layout, width, height) in [
        (PixelLayout::Yuyv, 7, 4),
        (PixelLayout::Nv12, 7, 4),
        (PixelLayout::Nv12, 6, 5),
    ] {
        let odd = Format::Image {
            width,
            height,
            layout,
            rate_hz: 1.0,
        };
        let data = frame_bytes(&odd, 1);
        let frame = Frame {
            seq: 0,
            calibrating: false,
            captured: Timestamp::ZERO,
            data: &data,
        };
        let error = log.write(&StreamId::new("odd"), &odd, &frame).unwrap_err();
        assert!(error.to_string().contains("even"), "{error}");
    }
}

#[test]
fn files_work_like_memory_and_missing_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let mut log = LogWriter::create(&path).unwrap();
    let imu = Format::Imu { rate_hz: 1.0 };
    let data = frame_bytes(&imu, 1);
    let frame = Frame {
        seq: 0,
        calibrating: false,
        captured: Timestamp::ZERO,
        data: &data,
    };
    log.write(&StreamId::new("imu"), &imu, &frame).unwrap();
    log.finish().unwrap();
    let (read, _) = read_all(&mut LogReader::open(&path).unwrap());
    assert_eq!(read, [(0, 0, data)]);
    let error = LogReader::open(folder.path().join("b.mcap")).unwrap_err();
    assert!(error.to_string().contains("b.mcap"), "{error}");
}
