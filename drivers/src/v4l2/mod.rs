//! What the drivers on Video4Linux2 share: [`device`] finds and opens the node that an [`identity`] names, [`negotiate`]
//! settles format, size and rate with it, [`buffers`] streams its memory, [`pictures`] makes whole, timed pictures of that.
//! [`fault`] says what an error number means.
//!
//! Kernel interface: Linux Media Infrastructure userspace API, part I "Video for Linux API" (single-planar capture).

mod buffers;
mod device;
mod fault;
mod identity;
mod negotiate;
mod pictures;

pub(crate) use device::{Camera, Node, find};
pub(crate) use identity::Identity;
pub(crate) use negotiate::{Agreed, Wanted};
pub(crate) use pictures::{Layout, Picture, Pictures, latency};
