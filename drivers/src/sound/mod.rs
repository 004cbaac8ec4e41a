//! What stands behind the microphone driver: [`cards`] lists what the kernel knows, [`input`] settles format and channels,
//! [`packet_queue`] brings packets from the audio callback to the reader, [`packet_times`] numbers and dates them.

pub(crate) mod cards;
pub(crate) mod input;
pub(crate) mod packet_queue;
pub(crate) mod packet_times;
