//! `sensebind devices`: what is attached, as board snippets to paste; what drivers there are.

use crate::exit::{Exit, Failure, OrExit};
use owo_colors::OwoColorize;
use sensebind_core::{Driver, Found};
use sensebind_drivers::DRIVERS;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{self, Write};

/// What to list.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// List every driver with its settings instead of what is attached.
    #[arg(long)]
    drivers: bool,
    /// As one JSON array.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    match (args.drivers, args.json) {
        (false, false) => list_attached()?,
        (false, true) => print_json(attached().iter().map(|(driver, found)| {
            json!({
                "name": found.name, "driver": driver.name(), "settings": found.settings, "about": found.about,
            })
        }))?,
        (true, false) => {
            for driver in DRIVERS {
                describe(*driver)?;
            }
        }
        (true, true) => {
            print_json(DRIVERS.iter().map(
                |driver| json!({ "driver": driver.name(), "about": driver.about(), "settings": driver.schema() }),
            ))?
        }
    }
    Ok(())
}

/// Everything that any driver sees, under names that differ.
fn attached() -> Vec<(&'static dyn Driver, Found)> {
    let mut names = BTreeSet::new();
    let all = DRIVERS
        .iter()
        .flat_map(|driver| driver.find().into_iter().map(move |found| (*driver, found)));
    all.map(|(driver, mut found)| {
        let mut name = found.name.clone();
        let mut nth = 1;
        while !names.insert(name.clone()) {
            nth += 1;
            name = format!("{}-{nth}", found.name);
        }
        found.name = name;
        (driver, found)
    })
    .collect()
}

fn list_attached() -> Result<(), Failure> {
    let attached = attached();
    if attached.is_empty() {
        eprintln!("Nothing is attached that a driver finds. These were asked:");
        for driver in DRIVERS {
            eprintln!("  {:<16} {}", driver.name(), driver.about());
        }
        eprintln!("`sensebind doctor` checks buses and permissions; docs/boards.md says how to attach each sensor.");
        return Ok(());
    }
    // A board file as it stands: what is no TOML is a comment.
    let mut out = anstream::stdout().lock();
    for (driver, found) in attached {
        let mut table = toml::Table::new();
        table.insert("name".to_owned(), found.name.into());
        table.insert("driver".to_owned(), driver.name().into());
        table.extend(found.settings);
        let mut board = toml::Table::new();
        board.insert("sensor".to_owned(), vec![table].into());
        let snippet = toml::to_string(&board).or_exit(Exit::Failure)?;
        writeln!(out, "{}\n{snippet}", format!("# {}", found.about).dimmed())?;
    }
    Ok(())
}

fn print_json(items: impl Iterator<Item = Value>) -> Result<(), Failure> {
    let items = serde_json::to_string_pretty(&items.collect::<Vec<_>>())?;
    Ok(writeln!(io::stdout(), "{items}")?)
}

/// A driver with its settings, for a person.
fn describe(driver: &dyn Driver) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}: {}", driver.name().bold(), driver.about())?;
    let schema = driver.schema().to_value();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (setting, said) in schema["properties"].as_object().into_iter().flatten() {
        let optional = if required.contains(&setting.as_str()) {
            ""
        } else {
            ", optional"
        };
        let about = said["description"].as_str().unwrap_or_default().replace('\n', " ");
        writeln!(out, "  {setting} ({}{optional}): {about}", kind(said, &schema))?;
    }
    writeln!(out)
}

/// What a setting may be, in words.
fn kind(said: &Value, root: &Value) -> String {
    let texts = |values: &Vec<Value>| {
        let quoted = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), |text| format!("{text:?}"))
        };
        values.iter().map(quoted).collect::<Vec<_>>().join(" | ")
    };
    if let Some(target) = said["$ref"].as_str() {
        return root
            .pointer(target.trim_start_matches('#'))
            .map_or_else(|| target.to_owned(), |definition| kind(definition, root));
    }
    if let Some(values) = said["enum"].as_array() {
        return texts(values);
    }
    if let Some(value) = said.get("const") {
        return texts(&vec![value.clone()]);
    }
    if let Some(choices) = said["oneOf"].as_array().or_else(|| said["anyOf"].as_array()) {
        let choices = choices.iter().filter(|choice| choice["type"] != "null");
        return choices.map(|choice| kind(choice, root)).collect::<Vec<_>>().join(" | ");
    }
    let name = |kind: &Value| match kind.as_str() {
        Some("string") => "text".to_owned(),
        Some("boolean") => "true | false".to_owned(),
        Some("array") => format!("list of {}", kind_of_items(said, root)),
        Some("object") => "table".to_owned(),
        Some(other) => other.to_owned(),
        None => "any".to_owned(),
    };
    match &said["type"] {
        Value::Array(kinds) => {
            let kinds = kinds.iter().filter(|kind| *kind != "null");
            kinds.map(name).collect::<Vec<_>>().join(" | ")
        }
        one => name(one),
    }
}

fn kind_of_items(said: &Value, root: &Value) -> String {
    said.get("items")
        .map_or_else(|| "any".to_owned(), |items| kind(items, root))
}
