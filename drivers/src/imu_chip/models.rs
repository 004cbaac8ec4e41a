//! The chips that a board can name.

use crate::bus::{BusError, I2cNode, SpiNode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sensebind_chips::imu;
use sensebind_chips::imu::bmi160::Bmi160;
use sensebind_chips::imu::icm20948::Icm20948;
use sensebind_chips::imu::icm42688::Icm42688;
use sensebind_chips::imu::lsm6dsox::Lsm6dsox;
use sensebind_chips::imu::mpu6050::Mpu6050;
use sensebind_chips::registers::{I2cRegisters, SpiRegisters};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;

/// A chip, whichever bus it hangs on.
pub(super) type Chip = Box<dyn imu::ImuChip<BusError = BusError> + Send>;

/// A chip that a board can name.
pub(super) struct Model {
    /// In small letters, as its maker writes it.
    pub(super) name: &'static str,
    /// The I2C address it has unless its address pin says otherwise.
    pub(super) address: u8,
    pub(super) on_i2c: fn(I2cRegisters<I2cNode>) -> Chip,
    pub(super) on_spi: Option<fn(SpiRegisters<SpiNode>) -> Chip>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every chip: a new one is a file in `sensebind-chips` and an entry here.
static MODELS: &[Model] = &[
    Model {
        name: "bmi160",
        address: 0x68,
        on_i2c: |registers| Box::new(Bmi160::new(registers)),
        on_spi: Some(|registers| Box::new(Bmi160::new(registers))),
    },
    Model {
        name: "icm20948",
        address: 0x68,
        on_i2c: |registers| Box::new(Icm20948::new(registers)),
        on_spi: Some(|registers| Box::new(Icm20948::new(registers))),
    },
    Model {
        name: "icm42688",
        address: 0x68,
        on_i2c: |registers| Box::new(Icm42688::new(registers)),
        on_spi: Some(|registers| Box::new(Icm42688::new(registers))),
    },
    Model {
        name: "lsm6dsox",
        address: 0x6a,
        on_i2c: |registers| Box::new(Lsm6dsox::new(registers)),
        on_spi: Some(|registers| Box::new(Lsm6dsox::new(registers))),
    },
    Model {
        name: "mpu6050",
        address: 0x68,
        on_i2c: |registers| Box::new(Mpu6050::new(registers)),
        on_spi: None,
    },
    Model {
        name: "mpu9250",
        address: 0x68,
        on_i2c: |registers| Box::new(Mpu6050::new(registers)),
        on_spi: Some(|registers| Box::new(Mpu6050::new(registers))),
    },
];

/// A chip of the list, by name.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ChipName(pub(super) &'static Model);

impl TryFrom<String> for ChipName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let model = MODELS.iter().find(|model| model.name == name);
        model
            .map(Self)
            .ok_or_else(|| format!("expected one of {MODELS:?} as chip, found {name:?}"))
    }
}

impl JsonSchema for ChipName {
    fn schema_name() -> Cow<'static, str> {
        "ChipName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = MODELS.iter().map(|model| model.name).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_sorted_by_name() {
        assert!(MODELS.is_sorted_by_key(|model| model.name));
    }
}
