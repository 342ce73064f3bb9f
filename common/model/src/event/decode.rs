//! From bytes to records: what a message is wrapped in is taken off, layer by layer, within bounds.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::{News, record};
use crate::xml::{Element, XmlError};

/// No provider sends more.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// A topic's base64 in a queue's JSON in a queue's base64 is four.
pub const DEPTH_MAX: usize = 6;
pub const RECORDS_MAX: usize = 1000;

/// Why nothing can be made of a message. It stays so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error("a message of {0} bytes, {MESSAGE_BYTES_MAX} at most")]
    Long(usize),
    #[error("a message wrapped more than {DEPTH_MAX} times")]
    Deep,
    #[error("a message of more than {RECORDS_MAX} records")]
    Many,
    #[error("neither JSON nor XML nor base64 of UTF-8")]
    Text,
    #[error("no JSON: {0}")]
    Json(String),
    #[error("{0}")]
    Xml(#[from] XmlError),
    #[error("XML of an element {0:?}, where Notification or Message is meant")]
    Element(String),
    /// The fields that it has instead.
    #[error("JSON of no known kind of event, with {0}")]
    Kind(String),
}

/// What a message tells, all of its records.
pub fn decode(message: &[u8]) -> Result<News, Undecodable> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(Undecodable::Long(message.len()));
    }
    let text = std::str::from_utf8(message).map_err(|_| Undecodable::Text)?;
    peel(text, Depth(0))
}

/// How many layers were taken off.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn below(self) -> Result<Self, Undecodable> {
        if self.0 < DEPTH_MAX { Ok(Self(self.0 + 1)) } else { Err(Undecodable::Deep) }
    }
}

fn peel(text: &str, depth: Depth) -> Result<News, Undecodable> {
    let text = text.trim_start_matches('\u{feff}').trim();
    match text.as_bytes().first() {
        Some(b'{' | b'[') => {
            let value = serde_json::from_str(text).map_err(|error| Undecodable::Json(error.to_string()))?;
            json(&value, depth)
        }
        Some(b'<') => xml(&Element::parse(text)?, depth),
        Some(b'"') => {
            let text: String = serde_json::from_str(text).map_err(|error| Undecodable::Json(error.to_string()))?;
            peel(&text, depth.below()?)
        }
        Some(_) => peel(&from_base64(text)?, depth.below()?),
        None => Err(Undecodable::Text),
    }
}

/// A topic's notification, or a queue's message as the queue's own protocol has it.
fn xml(element: &Element, depth: Depth) -> Result<News, Undecodable> {
    let name = match element.name.as_str() {
        "Notification" => "Message",
        "Message" => "MessageBody",
        other => return Err(Undecodable::Element(other.chars().take(40).collect())),
    };
    let inner = element.text_of(name).ok_or_else(|| Undecodable::Element(element.name.clone()))?;
    peel(inner, depth.below()?)
}

fn json(value: &Value, depth: Depth) -> Result<News, Undecodable> {
    if let Some(values) = value.as_array() {
        let below = depth.below()?;
        return gather(values, |value| json(value, below));
    }
    if let Some(events) = value.get("events").and_then(Value::as_array) {
        return gather(events, |event| Ok(record::oss(event, None)));
    }
    if let Some(records) = value.get("Records").and_then(Value::as_array) {
        return gather(records, |entry| one_of(entry, depth));
    }
    // A topic's notification, Alibaba's or Amazon's.
    let notified = ["TopicName", "TopicArn", "SubscriptionName"].iter().any(|name| value.get(name).is_some());
    if let Some(message) = value.get("Message").and_then(Value::as_str).filter(|_| notified) {
        return peel(message, depth.below()?);
    }
    if text(value, "/Event") == Some("s3:TestEvent") {
        return Ok(News { others: 1, ..News::default() });
    }
    if value.get("specversion").is_some() {
        return cloud_event(value, depth);
    }
    one_of(value, depth)
}

/// A record by itself.
fn one_of(value: &Value, depth: Depth) -> Result<News, Undecodable> {
    if value.get("s3").is_some() {
        return Ok(record::s3(value));
    }
    if value.get("oss").is_some() {
        return Ok(record::oss(value, None));
    }
    if text(value, "/source") == Some("aws.s3") && value.get("detail").is_some() {
        return Ok(record::event_bridge(value));
    }
    // A queue of Amazon's hands its messages on like this.
    if let Some(body) = value.get("body").or_else(|| value.get("Body")).and_then(Value::as_str) {
        return peel(body, depth.below()?);
    }
    Err(Undecodable::Kind(fields(value)))
}

/// The envelope says the event's type and id; its data is a record of one of the providers, or says bucket and key
/// itself.
fn cloud_event(value: &Value, depth: Depth) -> Result<News, Undecodable> {
    let given = match (value.get("data"), text(value, "/data_base64")) {
        (Some(Value::String(text)), _) => Some(text.clone()),
        (None, Some(base64)) => Some(from_base64(base64)?),
        _ => None,
    };
    let parsed: Option<Value> = match &given {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| Undecodable::Json(error.to_string()))?),
        None => None,
    };
    let data = parsed.as_ref().or_else(|| value.get("data")).unwrap_or(&Value::Null);
    if data.get("oss").is_some() {
        return Ok(record::oss(data, Some(value)));
    }
    if data.get("bucket").is_some() {
        return Ok(record::generic(value, data));
    }
    if data.is_object() {
        return json(data, depth.below()?);
    }
    Err(Undecodable::Kind(fields(value)))
}

fn gather(values: &[Value], each: impl Fn(&Value) -> Result<News, Undecodable>) -> Result<News, Undecodable> {
    let mut news = News::default();
    for value in values {
        news.add(each(value)?);
        if news.told() > RECORDS_MAX {
            return Err(Undecodable::Many);
        }
    }
    Ok(news)
}

/// With or without padding, in lines or in one: senders do as they like.
fn from_base64(text: &str) -> Result<String, Undecodable> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let text: String = text.split_ascii_whitespace().collect();
    let bytes = LENIENT.decode(text).map_err(|_| Undecodable::Text)?;
    String::from_utf8(bytes).map_err(|_| Undecodable::Text)
}

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn fields(value: &Value) -> String {
    const SHOWN_MAX: usize = 10;
    match value {
        Value::Object(fields) if fields.is_empty() => "no field".to_owned(),
        Value::Object(fields) => {
            let names = fields.keys().take(SHOWN_MAX).map(|name| name.chars().take(40).collect::<String>());
            format!("the fields {}", names.collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            "no object in it".to_owned()
        }
    }
}
