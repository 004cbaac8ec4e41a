//! What a reader could not deliver, and why.

use sensebind_core::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// What of a log was lost or passed over so far; complete once [`LogReader::next`](crate::LogReader::next) has returned
/// `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loss {
    /// When the log was cut off or unreadable from some point on: the last capture time before that point. `None` for a
    /// log that is whole up to its end, or that holds nothing before the damage.
    pub recovered_until: Option<Timestamp>,
    /// Bytes of the file that could not be read: what follows the last whole chunk, and damaged chunks in between.
    pub bytes_lost: u64,
    /// Damaged chunks that were passed over while the log went on behind them.
    pub chunks_lost: u64,
    /// Messages of sensor streams that were refused: cut short, absurd sizes, another format than their stream's.
    pub frames_refused: u64,
    /// Every message passed over, by reason, including those of topics that are no sensor.
    pub messages_skipped_by_reason: BTreeMap<String, u64>,
}

impl Loss {
    /// Reasons told apart; further ones are counted together, so a hostile log cannot fill the memory with them.
    const MAX_REASONS: usize = 256;

    /// Whether sensor data was lost. Topics that are no sensor do not count.
    pub fn is_damage(&self) -> bool {
        self.bytes_lost > 0 || self.chunks_lost > 0 || self.frames_refused > 0
    }

    /// Counts one message passed over because of `reason`.
    pub(crate) fn skip(&mut self, reason: &str) {
        let reasons = &mut self.messages_skipped_by_reason;
        let has_room = reasons.len() < Self::MAX_REASONS || reasons.contains_key(reason);
        *reasons
            .entry(if has_room { reason } else { "further reasons" }.to_owned())
            .or_default() += 1;
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(until) = self.recovered_until {
            parts.push(format!("recovered up to {until}"));
        }
        if self.bytes_lost > 0 {
            parts.push(format!("{} bytes lost", self.bytes_lost));
        }
        if self.chunks_lost > 0 {
            parts.push(format!("{} damaged chunks passed over", self.chunks_lost));
        }
        for (reason, count) in &self.messages_skipped_by_reason {
            parts.push(format!("{count} messages skipped: {reason}"));
        }
        if parts.is_empty() {
            return f.write_str("nothing lost");
        }
        f.write_str(&parts.join("; "))
    }
}
