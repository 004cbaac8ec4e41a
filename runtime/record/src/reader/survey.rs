//! What streams a log has: settled when it opens, before the first frame.

use super::{LogReader, Role};
use crate::RecordError;
use crate::frame::Payload;
use crate::index::TrafficByChannel;
use crate::journal;
use crate::labels::decode_truth;
use crate::topic::{self, Kind, Metadata};
use sensebind_core::{Format, Span, StreamId, Timestamp};
use std::collections::{BTreeSet, HashMap};

impl LogReader {
    /// Learns the channels, the first message of each and all labels: opens the stretches that have something new.
    pub(super) fn survey(&mut self, mut traffic: TrafficByChannel) -> Result<(), RecordError> {
        let mut schemas: HashMap<u16, String> = HashMap::new();
        let mut first_messages: Vec<(u16, Payload)> = Vec::new();
        let mut unsettled: BTreeSet<u16> = BTreeSet::new();
        // Declarations come first, wherever they stand. A channel may be declared in a chunk that holds no message of it.
        let (declarations, others): (Vec<_>, Vec<_>) =
            (0..self.stretches.len()).partition(|&nth| self.stretches[nth].has_no_messages());
        for nth in declarations.into_iter().chain(others) {
            let stretch = &self.stretches[nth];
            let is_news = |channel: u16| {
                unsettled.contains(&channel) || self.roles.get(&channel).is_none_or(|role| matches!(role, Role::Truth))
            };
            let all_declared = traffic.0.keys().all(|channel| self.roles.contains_key(channel));
            if stretch.is_chunk && all_declared && !stretch.may_hold(is_news) {
                continue;
            }
            let is_indexed = stretch.channels.is_some();
            // Damage is counted when its turn comes in `next`.
            let Ok(contents) = self.open_stretch(nth)? else {
                continue;
            };
            schemas.extend(contents.schemas);
            for channel in contents.channels {
                if self.roles.contains_key(&channel.id) {
                    continue;
                }
                let schema = schemas.get(&channel.schema_id).map_or("", String::as_str);
                let role = role_of(&channel.topic, schema, &channel.message_encoding, &channel.metadata);
                if matches!(role, Role::Unsettled { .. }) {
                    unsettled.insert(channel.id);
                }
                self.roles.insert(channel.id, role);
            }
            for message in &contents.messages {
                if !is_indexed {
                    traffic.add(message.channel, message.log_time);
                }
                match self.roles.get(&message.channel) {
                    Some(Role::Truth) => match decode_truth(&message.data) {
                        Ok(label) => self.truth.push(label),
                        Err(why) => self.loss.skip(why),
                    },
                    Some(Role::Unsettled { kind, topic, metadata }) if unsettled.contains(&message.channel) => {
                        // The rate is not known yet and may not decide whether the message makes sense.
                        if let Ok(payload) = Payload::parse(*kind, &message.data)
                            && payload.format(topic, metadata, &self.options, 0.0).is_ok_and(|f| {
                                payload
                                    .clone()
                                    .into_frame(&f, payload.encoding(), &mut self.scratch)
                                    .is_ok()
                            })
                        {
                            unsettled.remove(&message.channel);
                            first_messages.push((message.channel, payload));
                        }
                    }
                    _ => {}
                }
            }
        }
        self.truth.sort_by_key(|(_, span)| (span.start, span.end));
        first_messages.sort_by_key(|(channel, _)| *channel);
        self.join_calibrating(&mut traffic);
        for (channel, payload) in first_messages {
            let seen = traffic.0.get(&channel).copied();
            self.settle(channel, &payload, seen.map_or(0.0, |seen| seen.rate_hz()));
            if let Some(seen) = seen {
                let (first, last) = (Timestamp::from_nanos(seen.first), Timestamp::from_nanos(seen.last));
                let span = self.span.unwrap_or(Span::new(first, last));
                self.span = Some(Span::new(span.start.min(first), span.end.max(last)));
            }
        }
        Ok(())
    }

    /// Counts frames of a calibrating sensor with the others of its stream, or the two channels would differ in rate.
    fn join_calibrating(&self, traffic: &mut TrafficByChannel) {
        let sensors = || {
            self.roles.iter().filter_map(|(channel, role)| match role {
                Role::Unsettled { topic, metadata, .. } => Some((*channel, topic, metadata)),
                _ => None,
            })
        };
        for (channel, topic, metadata) in sensors().filter(|(.., metadata)| topic::is_calibrating(metadata)) {
            let mut judged = metadata.clone();
            judged.remove(topic::keys::CALIBRATING);
            let twin = sensors().find(|(_, other, metadata)| *other == topic && **metadata == judged);
            let Some((twin, ..)) = twin else {
                continue;
            };
            if let (Some(a), Some(b)) = (traffic.0.get(&channel), traffic.0.get(&twin)) {
                let both = a.and(b);
                traffic.0.insert(channel, both);
                traffic.0.insert(twin, both);
            }
        }
    }

    /// Gives a channel its stream.
    fn settle(&mut self, channel: u16, payload: &Payload, seen_rate_hz: f32) {
        let Some(Role::Unsettled { kind, topic, metadata }) = self.roles.get(&channel).cloned() else {
            return;
        };
        let Ok(format) = payload.format(&topic, &metadata, &self.options, seen_rate_hz) else {
            return;
        };
        let index = self.stream_index(&topic, &metadata, format, payload.encoding(), channel);
        let calibrating = topic::is_calibrating(&metadata);
        self.roles.insert(
            channel,
            Role::Stream {
                index,
                kind,
                calibrating,
            },
        );
    }

    /// The stream of that name and format, made if it does not exist.
    fn stream_index(
        &mut self,
        topic: &str,
        metadata: &Metadata,
        format: Format,
        encoding: &str,
        channel: u16,
    ) -> usize {
        let name = topic::stream_name(topic, metadata);
        for name in [name, topic.to_owned(), format!("{topic}#{channel}")] {
            match self.streams.iter().position(|(id, _)| id.as_str() == name) {
                Some(at) if self.streams[at].1 == format && self.encodings[at] == encoding => {
                    return at;
                }
                Some(_) => {}
                None => {
                    self.streams.push((StreamId::new(name), format));
                    self.encodings.push(encoding.to_owned());
                    return self.streams.len() - 1;
                }
            }
        }
        // `topic#channel` is taken by another topic of exactly that name: share the last resort.
        self.streams
            .push((StreamId::new(format!("{topic}##{channel}")), format));
        self.encodings.push(encoding.to_owned());
        self.streams.len() - 1
    }
}

fn role_of(topic: &str, schema: &str, message_encoding: &str, metadata: &Metadata) -> Role {
    match (topic, schema) {
        (topic::TRUTH, "foxglove.Event") => return Role::Truth,
        (topic::EVENTS, "foxglove.Event") => return Role::Events,
        _ if journal::is_entry(topic, schema) => return Role::Entries(topic.to_owned()),
        _ => {}
    }
    match Kind::of(message_encoding, schema) {
        Some(kind) => Role::Unsettled {
            kind,
            topic: topic.to_owned(),
            metadata: metadata.clone(),
        },
        None => Role::Skipped(format!(
            "{topic}: {schema:?} ({message_encoding}) is no sensor this reads"
        )),
    }
}
