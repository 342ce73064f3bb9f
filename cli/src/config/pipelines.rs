//! Pipelines as they are shown, and a look at rules before they are configured: what is refused here is what a process that
//! begins with them would refuse, in the same words.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::config::{Map, Value, ValueKind};
use framefleet_coordinator::ops::pipelines::{PipelineJson, Pipelines, ValidatedJson};
use framefleet_model::fault::Fault;
use framefleet_model::trigger::Trigger;
use framefleet_model::trigger::pipeline::{Pipeline, PipelineId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::StorageConfig;
use super::keys;
use super::layers::Merged;
use super::reading::Reading;
use super::triggers::{self, Pipelines as Made, Places};
use crate::asked::steps::Names;
use crate::settings::refused;

const PIPELINES: &str = "pipelines";
const TRIGGERS: &str = "triggers";
const ORIGIN: &str = "request";
const TABLES_MAX: usize = 1000;
/// So many are named in a refusal.
const LISTED_MAX: usize = 16;

/// What a coordinator knows of its pipelines and triggers.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    known: Vec<PipelineJson>,
    made: Made,
    pipelines: Vec<Value>,
    triggers: Vec<Value>,
    work: String,
    storage: Vec<StorageConfig>,
    folders: Vec<String>,
    names: Names,
}

/// Rules that are looked at: tables as in a configuration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rules)]
pub struct AskedRules {
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pipelines: Vec<serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    triggers: Vec<serde_json::Map<String, serde_json::Value>>,
}

impl Rules {
    pub(super) fn of(merged: &Merged, (triggers, made): (&[Trigger], Made), places: Places<'_>) -> Self {
        let tables = |section: &str| merged.tables(section).to_vec();
        let pipelines = tables(PIPELINES);
        let mut known: Vec<PipelineJson> = pipelines.iter().map(|table| shown(table, triggers)).collect();
        known.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        let Places { work, storage, folders, names } = places;
        let (storage, folders) = (storage.to_vec(), folders.to_vec());
        let (work, names) = (work.to_owned(), names.clone());
        Self { known, made, pipelines, triggers: tables(TRIGGERS), work, storage, folders, names }
    }

    /// Whom steps may speak to.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The one of `name@version`, or of a name that has one version.
    pub fn pipeline(&self, name: &str) -> Result<Arc<Pipeline>, Fault> {
        let is_called = |id: &&PipelineId| id.as_str() == name || id.name() == name;
        let called: Vec<&PipelineId> = self.made.keys().filter(is_called).collect();
        match called[..] {
            [id] => Ok(self.made[id].clone()),
            [] => {
                let known = listed(self.made.keys().collect());
                Err(refused(format!("pipeline {name:?} is in no [[pipelines]], there are: {known}")))
            }
            _ => Err(refused(format!("pipeline {name:?} is not one version of: {}", listed(called)))),
        }
    }

    /// Those that were asked about first, so that they are called by their own numbers.
    fn with(&self, asked: &AskedRules) -> Map<String, Value> {
        let (pipelines, triggers) = (tables(&asked.pipelines), tables(&asked.triggers));
        let beside = |all: &[Value], asked: &[Value], name: &dyn Fn(&Value) -> String| {
            let names: Vec<String> = asked.iter().map(name).collect();
            let kept = all.iter().filter(|table| !names.contains(&name(table))).cloned();
            Value::new(None, asked.iter().cloned().chain(kept).collect::<Vec<_>>())
        };
        let pipelines = beside(&self.pipelines, &pipelines, &id);
        let triggers = beside(&self.triggers, &triggers, &|table| text(table, "name"));
        [(PIPELINES.to_owned(), pipelines), (TRIGGERS.to_owned(), triggers)].into_iter().collect()
    }

    fn check(&self, asked: &AskedRules) -> Result<(), Fault> {
        let merged = Merged::of_tables(self.with(asked))?;
        let raw = merged.raw()?;
        let Self { work, storage, folders, names, .. } = self;
        let places = Places { work, storage, folders, names };
        triggers::of(&Reading { merged: &merged }, (&raw.pipelines, &raw.triggers), places).map(drop)
    }
}

impl Pipelines for Rules {
    fn known(&self) -> &[PipelineJson] {
        &self.known
    }

    fn validate(&self, text: &str) -> Result<ValidatedJson, Fault> {
        let asked = read(text)?;
        let (pipelines, triggers) = (tables(&asked.pipelines), tables(&asked.triggers));
        let refusal = self.check(&asked).err().map(|fault| fault.message);
        Ok(ValidatedJson {
            valid: refusal.is_none(),
            pipelines: pipelines.iter().map(id).collect(),
            triggers: triggers.iter().map(|table| self::text(table, "name")).collect(),
            refusal,
        })
    }
}

fn listed(ids: Vec<&PipelineId>) -> String {
    let more = ids.len().saturating_sub(LISTED_MAX);
    let shown: Vec<&str> = ids.iter().take(LISTED_MAX).map(|id| id.as_str()).collect();
    match (shown.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Tables as JSON or YAML.
pub fn read(text: &str) -> Result<AskedRules, Fault> {
    let odd = |why: String| refused(format!("rules: {why}"));
    let asked: AskedRules = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| odd(e.to_string()))?
    } else {
        let first_line = |e: serde_saphyr::Error| e.to_string().lines().next().unwrap_or_default().to_owned();
        serde_saphyr::from_str(text).map_err(|e| odd(first_line(e)))?
    };
    match asked.pipelines.len() + asked.triggers.len() {
        0 => Err(odd("there is neither a pipeline nor a trigger in them".to_owned())),
        count if count > TABLES_MAX => Err(odd(format!("{count} tables are over the bound of {TABLES_MAX}"))),
        _ => Ok(asked),
    }
}

/// The same of a configuration file's own form, as JSON.
pub fn of_toml(text: &str) -> Result<String, Fault> {
    use ::config::{File, FileFormat, Source as _};

    let parsed = File::from_str(text, FileFormat::Toml).collect();
    let values = parsed.map_err(|e| refused(format!("rules: {}", super::layers::unquoted(&e.to_string()))))?;
    let ours = values.into_iter().filter(|(name, _)| [PIPELINES, TRIGGERS].contains(&name.as_str()));
    let ours: serde_json::Map<_, _> = ours.map(|(name, value)| (name, json(&value.kind))).collect();
    Ok(serde_json::Value::from(ours).to_string())
}

fn shown(table: &Value, triggers: &[Trigger]) -> PipelineJson {
    let id = id(table);
    let uses = |trigger: &&Trigger| trigger.versions().any(|version| version.as_str() == id);
    let mut definition = BTreeMap::new();
    if let ValueKind::Table(fields) = &table.kind {
        for (name, value) in fields {
            let default = keys::find(&[PIPELINES, ".", name].concat()).map(|key| key.default);
            let (value, shown) = (json(&value.kind), json(&value.kind).to_string());
            // What nobody set is not shown.
            if default != Some(shown.as_str()) {
                definition.insert(name.clone(), value);
            }
        }
    }
    PipelineJson {
        name: text(table, "name"),
        version: text(table, "version"),
        triggers: triggers.iter().filter(uses).map(|trigger| trigger.name.clone()).collect(),
        definition: definition.into_iter().collect::<serde_json::Map<_, _>>().into(),
        id,
    }
}

fn id(table: &Value) -> String {
    [text(table, "name"), text(table, "version")].join("@")
}

fn text(table: &Value, key: &str) -> String {
    let ValueKind::Table(fields) = &table.kind else { return String::new() };
    fields.get(key).map(|value| value.kind.to_string()).unwrap_or_default()
}

fn tables(asked: &[serde_json::Map<String, serde_json::Value>]) -> Vec<Value> {
    asked.iter().map(|table| value(&table.clone().into())).collect()
}

fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;

    let origin = ORIGIN.to_owned();
    let kind = match json {
        Json::Null => ValueKind::Nil,
        Json::Bool(truth) => ValueKind::Boolean(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => ValueKind::I64(whole),
            (None, part) => ValueKind::Float(part.unwrap_or_default()),
        },
        Json::String(text) => ValueKind::String(text.clone()),
        Json::Array(all) => ValueKind::Array(all.iter().map(value).collect()),
        Json::Object(fields) => {
            ValueKind::Table(fields.iter().map(|(name, field)| (name.clone(), value(field))).collect())
        }
    };
    Value::new(Some(&origin), kind)
}

fn json(kind: &ValueKind) -> serde_json::Value {
    match kind {
        ValueKind::Nil => serde_json::Value::Null,
        ValueKind::Boolean(truth) => (*truth).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::U64(number) => (*number).into(),
        ValueKind::I128(_) | ValueKind::U128(_) => kind.to_string().into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::String(text) => text.clone().into(),
        ValueKind::Array(values) => values.iter().map(|value| json(&value.kind)).collect(),
        ValueKind::Table(table) => {
            // In the order of their names: tables have none.
            let fields: BTreeMap<&String, &Value> = table.iter().collect();
            let fields = fields.into_iter().map(|(name, value)| (name.clone(), json(&value.kind)));
            fields.collect::<serde_json::Map<_, _>>().into()
        }
    }
}
