//! The JSON Schema of board files: from the types, with every driver's settings under its name.

use super::parse::File;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use sensebind_core::Driver;
use sensebind_drivers::DRIVERS;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Where definitions stand in a schema.
const DEFINITIONS: &str = "$defs";

/// The schema, pretty-printed, with a line feed at its end: what `boards/schema.json` holds.
pub fn schema() -> String {
    let mut schema = schema_for!(File).to_value();
    leave_out_null(&mut schema);
    format!("{schema:#}\n")
}

/// What may be left out is simply not there: TOML has no null.
fn leave_out_null(schema: &mut Value) {
    match schema {
        Value::Object(table) => {
            table.retain(|key, value| !(key == "default" && value.is_null()));
            if let Some(Value::Array(types)) = table.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    table.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = table.get_mut("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
                if let [Value::Object(only)] = &choices[..] {
                    let only = only.clone();
                    table.remove("anyOf");
                    table.extend(only);
                }
            }
            table.values_mut().for_each(leave_out_null);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_null),
        _ => {}
    }
}

/// Stands for a `[[sensor]]` in the schema: which settings there are depends on the driver.
pub(super) struct SensorTable;

impl JsonSchema for SensorTable {
    fn schema_name() -> Cow<'static, str> {
        "Sensor".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let by_driver: Vec<Value> = DRIVERS
            .iter()
            .map(|driver| {
                let settings = settings_of(*driver, generator);
                json!({ "if": { "properties": { "driver": { "const": driver.name() } }, "required": ["driver"] }, "then": settings })
            })
            .collect();
        let names: Vec<Value> = DRIVERS
            .iter()
            .map(|driver| json!({ "const": driver.name(), "description": driver.about() }))
            .collect();
        json_schema!({
            "type": "object",
            "required": ["name", "driver"],
            "properties": {
                "name": {
                    "type": "string",
                    "description": "Name of the sensor and of its stream, as in `camera`; no other sensor of the board \
                        has it. Up to 64 ASCII letters, digits, `-`, `_` and `.`.",
                },
                "driver": { "description": "What opens it.", "oneOf": names },
            },
            "allOf": by_driver,
        })
    }
}

/// What a sensor of `driver` may say. Definitions go to `generator`, under the driver's name.
fn settings_of(driver: &dyn Driver, generator: &mut SchemaGenerator) -> Value {
    let mut schema = driver.schema().to_value();
    point_into(&mut schema, driver.name());
    let Value::Object(mut table) = schema else {
        return schema;
    };
    table.remove("$schema");
    table.remove("title");
    if let Some(Value::Object(definitions)) = table.remove(DEFINITIONS) {
        for (name, definition) in definitions {
            generator
                .definitions_mut()
                .insert(definition_name(driver.name(), &name), definition);
        }
    }
    table.insert("description".to_owned(), driver.about().into());
    // The two keys that all sensors have; unknown ones are refused here, where all are known.
    let properties = table.entry("properties").or_insert_with(|| Map::new().into());
    for key in ["name", "driver"] {
        properties[key] = true.into();
    }
    table.into()
}

fn definition_name(driver: &str, name: &str) -> String {
    format!("{driver}.{name}")
}

/// Points all references within `schema` to the definitions of `driver`.
fn point_into(schema: &mut Value, driver: &str) {
    match schema {
        Value::Object(table) => {
            for (key, value) in table {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if let Some(name) = target.strip_prefix("#/$defs/") {
                            *target = format!("#/{DEFINITIONS}/{}", definition_name(driver, name));
                        }
                    }
                    _ => point_into(value, driver),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point_into(item, driver)),
        _ => {}
    }
}
