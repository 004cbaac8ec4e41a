//! What a log says beside frames, read when it is asked for: it lies in nearly every chunk.

use super::{LogReader, Role};
use crate::RecordError;
use crate::chunk::Message;
use crate::journal::{Entry, LoggedClock, LoggedHealth, LoggedWallClock};
use crate::labels::decode_event;
use sensebind_core::{Event, Timestamp};
use std::collections::BTreeSet;

impl LogReader {
    /// How the clocks of sensors mapped to the log's (`/clocks`), by time. Reads the chunks that have such entries,
    /// which may be all; entries that make no sense are left out. Does not move [`next`](Self::next).
    ///
    /// # Errors
    /// [`RecordError::Read`] when the disk fails. Damage in the log is no error.
    pub fn clocks(&mut self) -> Result<Vec<LoggedClock>, RecordError> {
        self.entries()
    }

    /// What the calendar said (`/wall_clock`), by time; otherwise as [`clocks`](Self::clocks).
    ///
    /// # Errors
    /// As [`clocks`](Self::clocks).
    pub fn wall_clock(&mut self) -> Result<Vec<LoggedWallClock>, RecordError> {
        self.entries()
    }

    /// In which state sensors were (`/health`), by time; otherwise as [`clocks`](Self::clocks).
    ///
    /// # Errors
    /// As [`clocks`](Self::clocks).
    pub fn health(&mut self) -> Result<Vec<LoggedHealth>, RecordError> {
        self.entries()
    }

    /// The events that were detected while the log was recorded (`/events`), in the order in which they were written;
    /// otherwise as [`clocks`](Self::clocks).
    ///
    /// # Errors
    /// As [`clocks`](Self::clocks).
    pub fn events(&mut self) -> Result<Vec<Event>, RecordError> {
        self.collect(
            |role| matches!(role, Role::Events),
            |message| decode_event(&message.data),
        )
    }

    fn entries<E: Entry>(&mut self) -> Result<Vec<E>, RecordError> {
        let decode = |message: &Message| {
            let entry: E = serde_json::from_slice(&message.data).ok()?;
            Some(entry.logged(Timestamp::from_nanos(message.log_time)))
        };
        let mut entries = self.collect(|role| matches!(role, Role::Entries(topic) if topic == E::TOPIC), decode)?;
        entries.sort_by_key(Entry::at);
        Ok(entries)
    }

    /// What the messages of all channels hold whose role `is_wanted`, in the order of the file. A message itself is not
    /// kept: it would keep its chunk.
    fn collect<T>(
        &mut self,
        is_wanted: impl Fn(&Role) -> bool,
        decode: impl Fn(&Message) -> Option<T>,
    ) -> Result<Vec<T>, RecordError> {
        let roles = self.roles.iter().filter(|(_, role)| is_wanted(role));
        let channels: BTreeSet<u16> = roles.map(|(&channel, _)| channel).collect();
        let mut found = Vec::new();
        if channels.is_empty() {
            return Ok(found);
        }
        for nth in 0..self.stretches.len() {
            if !self.stretches[nth].may_hold(|channel| channels.contains(&channel)) {
                continue;
            }
            // Damage is counted when its turn comes in `next`.
            let Ok(contents) = self.open_stretch(nth)? else {
                continue;
            };
            let messages = contents.messages.iter();
            found.extend(messages.filter(|m| channels.contains(&m.channel)).filter_map(&decode));
        }
        Ok(found)
    }
}
