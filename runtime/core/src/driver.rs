//! Who opens sources: one driver per device family, kernel interface or file format.

use crate::{Clock, Sense, Source, SourceError, StreamId};
use std::sync::Arc;

/// What a board file says about one sensor, less what all sensors share (its name and driver).
pub type Settings = toml::Table;

/// Something a driver found attached.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// A name for it in a board file, as in `camera`.
    pub name: String,
    /// What to give to [`Driver::open`]; names the device by its most stable identity.
    pub settings: Settings,
    /// One line for a person: what it is, where it hangs.
    pub about: String,
}

/// A kind of source.
///
/// # For driver authors
/// Write the settings as a struct with `serde::Deserialize` (unknown fields denied) and `schemars::JsonSchema`; its field
/// documentation is what a user reads. Name devices by stable identity (USB serial, by-id path, card id), never by the
/// order in which they were plugged in: the engine calls [`open`](Self::open) again with the same settings after an
/// unplug.
pub trait Driver: Sync {
    /// Its name in board files and on the command line.
    fn name(&self) -> &'static str;

    /// One line for a person.
    fn about(&self) -> &'static str;

    /// What could be opened right now. Safe with nothing attached; blocks for milliseconds at most.
    fn find(&self) -> Vec<Found>;

    /// The JSON Schema of its settings.
    fn schema(&self) -> schemars::Schema;

    /// Checks settings without touching a device.
    ///
    /// # Errors
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured): names the field, what was expected and found.
    fn check(&self, settings: &Settings) -> Result<(), SourceError>;

    /// Which sense the sensor feeds: known before it is opened, so that only the encoders a board needs are loaded.
    ///
    /// # Errors
    /// As [`check`](Self::check); a recording that names its sense itself may have to be read.
    fn sense(&self, settings: &Settings) -> Result<Sense, SourceError>;

    /// Opens the sensor that `settings` name as `stream`. Blocks while the device starts, seconds at most.
    ///
    /// # Errors
    /// As [`check`](Self::check), else as the device answers, by [`ErrorKind`](crate::ErrorKind):
    /// [`Gone`](crate::ErrorKind::Gone) when it is not there.
    fn open(
        &self,
        stream: &StreamId,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Box<dyn Source>, SourceError>;
}
