//! What a row says of a job: the event of its end, column by column.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) event_id: String,
    pub(crate) event_at: DateTime<Utc>,
    pub(crate) state: String,
    pub(crate) data: Data,
    pub(crate) accepted_at: DateTime<Utc>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) ended_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    r#type: String,
    time: DateTime<Utc>,
    data: Data,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Data {
    pub(crate) job: String,
    pub(crate) generation: i32,
    pub(crate) tenant: String,
    pub(crate) priority: String,
    pub(crate) source: Source,
    pub(crate) trigger: Option<String>,
    pub(crate) pipeline: Option<String>,
    timings: Timings,
    pub(crate) cost: Cost,
    #[serde(default = "none")]
    pub(crate) outputs: Value,
    pub(crate) fault: Option<Value>,
    pub(crate) reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Source {
    pub(crate) url: String,
    pub(crate) bytes: i64,
    pub(crate) version: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Timings {
    accepted_ms: i64,
    started_ms: Option<i64>,
    ended_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Cost {
    pub(crate) cpu_ms: i64,
}

impl Record {
    pub(crate) fn of(body: &str) -> Result<Self, String> {
        let odd = |e: String| format!("the event is none of a job's end: {e}");
        let Event { id, r#type, time, data } = serde_json::from_str(body).map_err(|e| odd(e.to_string()))?;
        let state = r#type.strip_prefix("framefleet.job.").ok_or_else(|| odd(format!("its type is {type}")))?;
        let moment = |ms: i64| DateTime::from_timestamp_millis(ms).ok_or_else(|| odd(format!("{ms} ms is no time")));
        Ok(Self {
            event_id: id,
            event_at: time,
            state: state.to_owned(),
            accepted_at: moment(data.timings.accepted_ms)?,
            started_at: data.timings.started_ms.map(moment).transpose()?,
            ended_at: moment(data.timings.ended_ms)?,
            data,
        })
    }
}

/// Of a job that failed or was cancelled.
fn none() -> Value {
    Value::Array(Vec::new())
}
