//! What a board file says about a sensor, as a driver's own type.

use schemars::{JsonSchema, Schema, schema_for};
use sensebind_core::{ErrorKind, Settings, SourceError};
use serde::de::DeserializeOwned;

/// Reads `settings` of driver `driver` as `T`.
///
/// # Errors
/// [`ErrorKind::Misconfigured`] that names the driver, the field, what was expected and found.
pub(crate) fn parse<T: DeserializeOwned>(driver: &str, settings: &Settings) -> Result<T, SourceError> {
    settings.clone().try_into().map_err(|e: toml::de::Error| {
        let found = toml::to_string(settings)
            .unwrap_or_default()
            .trim_end()
            .replace('\n', ", ");
        // As text: the message alone does not name the setting.
        let why = e.to_string().trim_end().replace('\n', " ");
        SourceError::new(
            ErrorKind::Misconfigured,
            format!("driver {driver}: {why}, in {{ {found} }}: see `sensebind devices --drivers`"),
        )
    })
}

/// The schema of `T`.
pub(crate) fn schema<T: JsonSchema>() -> Schema {
    schema_for!(T)
}
