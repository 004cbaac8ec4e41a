//! Messages of opened stretches, put in order of time.

use crate::chunk::{Contents, Message};
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

/// Messages waiting for their turn, and how much memory they keep.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BinaryHeap<Reverse<Waiting>>,
    held_bytes: usize,
    /// Of each opened stretch, by offset: messages that still keep it in memory, and its bytes.
    stretches: HashMap<u64, (usize, usize)>,
}

/// A message, ordered by time, then by place in the file: offset of the stretch, number within.
#[derive(Debug)]
struct Waiting {
    place: (u64, usize),
    message: Message,
}

impl Queue {
    /// Takes in what the stretch at `offset` holds.
    pub(super) fn add(&mut self, offset: u64, contents: Contents) {
        let Contents { messages, size, .. } = contents;
        if messages.is_empty() {
            return;
        }
        self.held_bytes += size;
        self.stretches.insert(offset, (messages.len(), size));
        let waiting = |(nth, message)| {
            Reverse(Waiting {
                place: (offset, nth),
                message,
            })
        };
        self.waiting.extend(messages.into_iter().enumerate().map(waiting));
    }

    /// The earliest message.
    pub(super) fn pop(&mut self) -> Option<Message> {
        let Reverse(Waiting {
            place: (offset, _),
            message,
        }) = self.waiting.pop()?;
        if let Some((messages, bytes)) = self.stretches.get_mut(&offset) {
            *messages -= 1;
            if *messages == 0 {
                self.held_bytes -= *bytes;
                self.stretches.remove(&offset);
            }
        }
        Some(message)
    }

    /// `log_time` of the earliest message.
    pub(super) fn next_time(&self) -> Option<u64> {
        self.waiting.peek().map(|Reverse(waiting)| waiting.message.log_time)
    }

    /// Decompressed bytes kept in memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

impl Waiting {
    fn rank(&self) -> (u64, (u64, usize)) {
        (self.message.log_time, self.place)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}
