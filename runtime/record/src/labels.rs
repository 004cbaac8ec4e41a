//! `/truth` and `/events`: stretches of time with a label, as `foxglove.Event`.

use bytes::Bytes;
use foxglove::messages::{Event as FoxgloveEvent, KeyValuePair, Timestamp as FoxgloveTime};
use prost::Message as _;
use sensebind_core::{Event, Span, Timestamp};

/// Metadata key of the label.
const LABEL: &str = "label";
/// Metadata key of the whole event as the JSON line of the event file.
const EVENT: &str = "event";

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Seconds end in 2106 in this schema: later times stay there.
pub(crate) fn foxglove_time(t: Timestamp) -> FoxgloveTime {
    let seconds = u32::try_from(t.as_nanos() / NANOS_PER_SECOND).unwrap_or(u32::MAX);
    FoxgloveTime::new(seconds, (t.as_nanos() % NANOS_PER_SECOND) as u32)
}

fn core_time(t: FoxgloveTime) -> Timestamp {
    Timestamp::from_nanos(u64::from(t.sec()) * NANOS_PER_SECOND + u64::from(t.nsec()))
}

fn pair(key: &str, value: impl Into<String>) -> KeyValuePair {
    KeyValuePair {
        key: key.to_owned(),
        value: value.into(),
    }
}

/// A label that really applied during `span`.
pub(crate) fn encode_truth(label: &str, span: Span) -> Vec<u8> {
    FoxgloveEvent {
        start_time: Some(foxglove_time(span.start)),
        end_time: Some(foxglove_time(span.end)),
        metadata: vec![pair(LABEL, label)],
    }
    .encode_to_vec()
}

/// A detected event. Its own JSON line goes along, so nothing the schema has no field for is lost.
pub(crate) fn encode_event(event: &Event) -> Vec<u8> {
    let json = serde_json::to_string(event).unwrap_or_default();
    FoxgloveEvent {
        start_time: Some(foxglove_time(event.start_ns)),
        end_time: event.end_ns.map(foxglove_time),
        metadata: vec![pair(LABEL, &event.label), pair(EVENT, json)],
    }
    .encode_to_vec()
}

/// The event of an `/events` message; `None` when it holds none.
pub(crate) fn decode_event(message: &Bytes) -> Option<Event> {
    let message = FoxgloveEvent::decode(message.clone()).ok()?;
    let json = message.metadata.into_iter().find(|pair| pair.key == EVENT)?;
    serde_json::from_str(&json.value).ok()
}

/// Label and stretch of a `/truth` message.
///
/// # Errors
/// Why it is none.
pub(crate) fn decode_truth(message: &Bytes) -> Result<(String, Span), &'static str> {
    let event = FoxgloveEvent::decode(message.clone()).map_err(|_| "truth message is not a foxglove.Event")?;
    let label = event
        .metadata
        .into_iter()
        .find(|pair| pair.key == LABEL)
        .ok_or("truth message without a label")?;
    match (event.start_time, event.end_time) {
        (Some(start), Some(end)) => Ok((label.value, Span::new(core_time(start), core_time(end)))),
        _ => Err("truth message without start or end"),
    }
}
