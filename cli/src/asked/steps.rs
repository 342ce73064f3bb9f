//! Steps as they are asked for, by a job file or a pipeline, and whom they may speak to.

use std::collections::BTreeSet;

use framefleet_model::fault::Fault;
use framefleet_model::step::{Ending, FILES_MAX, STEPS_MAX, Step};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::settings::refused;

/// One of these, not more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Step)]
pub struct AskedStep {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<AskedWebhook>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<AskedSql>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cdn_prefetch: Option<AskedPrefetch>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookStep)]
pub struct AskedWebhook {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SqlStep)]
pub struct AskedSql {
    pub database: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PrefetchStep)]
pub struct AskedPrefetch {
    pub cdn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_max: Option<u32>,
}

/// Whom the configuration knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub webhooks: BTreeSet<String>,
    pub databases: BTreeSet<String>,
    pub cdns: BTreeSet<String>,
}

pub fn check(asked: &[AskedStep]) -> Result<Vec<Step>, Fault> {
    if asked.len() > STEPS_MAX {
        return Err(refused(format!("{} steps are asked for, {STEPS_MAX} at most", asked.len())));
    }
    let mut steps: Vec<Step> = Vec::with_capacity(asked.len());
    for step in asked.iter().map(one) {
        let step = step?;
        if steps.iter().any(|other| other.to_string() == step.to_string()) {
            return Err(refused(format!("step {step} is there twice")));
        }
        steps.push(step);
    }
    Ok(steps)
}

fn one(asked: &AskedStep) -> Result<Step, Fault> {
    match asked {
        AskedStep { webhook: Some(AskedWebhook { name, events }), sql: None, cdn_prefetch: None } => {
            Ok(Step::Webhook { target: name.clone(), events: endings(events.as_deref())? })
        }
        AskedStep { webhook: None, sql: Some(AskedSql { database, events }), cdn_prefetch: None } => {
            Ok(Step::Sql { target: database.clone(), events: endings(events.as_deref())? })
        }
        AskedStep { webhook: None, sql: None, cdn_prefetch: Some(AskedPrefetch { cdn, files_max }) } => {
            let files_max = files_max.unwrap_or(FILES_MAX);
            if !(1..=FILES_MAX).contains(&files_max) {
                return Err(refused(format!("cdn_prefetch.files_max {files_max} is not within 1 to {FILES_MAX}")));
            }
            Ok(Step::CdnPrefetch { target: cdn.clone(), files_max })
        }
        _ => Err(refused("a step is one of webhook, sql and cdn_prefetch: no more, no less".to_owned())),
    }
}

/// All of them where nobody says which.
fn endings(asked: Option<&[String]>) -> Result<BTreeSet<Ending>, Fault> {
    let known = |name: &String| {
        Ending::ALL.into_iter().find(|ending| ending.name() == name).ok_or_else(|| {
            let all = Ending::ALL.map(Ending::name).join(", ");
            refused(format!("a step's event {name:?} is not one of: {all}"))
        })
    };
    match asked {
        None => Ok(Ending::ALL.into()),
        Some([]) => Err(refused("a step's events name none, and nothing would ever happen".to_owned())),
        Some(names) => names.iter().map(known).collect(),
    }
}

impl Names {
    /// Whether all of them speak to somebody who is known.
    pub fn know(&self, steps: &[Step]) -> Result<(), Fault> {
        steps.iter().try_for_each(|step| {
            let (section, names) = match step {
                Step::Webhook { .. } => ("webhooks", &self.webhooks),
                Step::Sql { .. } => ("databases", &self.databases),
                Step::CdnPrefetch { .. } => ("cdns", &self.cdns),
            };
            if names.contains(step.target()) {
                return Ok(());
            }
            let known = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none".to_owned() } else { known };
            Err(refused(format!("step {step} speaks to {:?}, and [[{section}]] names: {known}", step.target())))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        let asked: Result<Vec<AskedStep>, _> = serde_json::from_str(json);
        asked.map_err(|e| e.to_string()).and_then(|asked| check(&asked).map_err(|e| e.message)).unwrap_err()
    }

    #[test]
    fn steps_are_named_and_say_when() {
        let text = r#"[{"webhook": {"name": "a", "events": ["failed"]}}, {"sql": {"database": "b"}},
            {"cdn_prefetch": {"cdn": "c", "files_max": 5}}]"#;
        let steps = check(&serde_json::from_str::<Vec<AskedStep>>(text).unwrap()).unwrap();
        let names: Vec<String> = steps.iter().map(Step::to_string).collect();
        assert_eq!(names, ["webhook a", "sql b", "cdn_prefetch c"]);
        let at = |ending| steps.iter().map(|step| step.is_for(ending)).collect::<Vec<_>>();
        assert_eq!(at(Ending::Completed), [false, true, true]);
        assert_eq!(at(Ending::Failed), [true, true, false]);
        let known = Names { webhooks: ["a".to_owned()].into(), ..Names::default() };
        assert_eq!(known.know(&steps[..1]), Ok(()));
        let why = known.know(&steps).unwrap_err().message;
        assert_eq!(why, "step sql b speaks to \"b\", and [[databases]] names: none");
    }

    #[test]
    fn what_is_no_step_is_refused_by_name() {
        let one = "a step is one of webhook, sql and cdn_prefetch: no more, no less";
        assert_eq!(refusal("[{}]"), one);
        assert_eq!(refusal(r#"[{"sql": {"database": "b"}, "webhook": {"name": "a"}}]"#), one);
        assert!(refusal(r#"[{"webhook": {"url": "https://elsewhere"}}]"#).contains("unknown field `url`"));
        assert!(refusal(r#"[{"mail": {}}]"#).contains("unknown field `mail`"));
        let odd = refusal(r#"[{"webhook": {"name": "a", "events": ["begun"]}}]"#);
        assert_eq!(odd, "a step's event \"begun\" is not one of: completed, failed, cancelled");
        assert!(refusal(r#"[{"webhook": {"name": "a", "events": []}}]"#).contains("name none"));
        assert!(refusal(r#"[{"sql": {"database": "b"}}, {"sql": {"database": "b"}}]"#).contains("is there twice"));
        let many = refusal(r#"[{"cdn_prefetch": {"cdn": "c", "files_max": 1001}}]"#);
        assert_eq!(many, "cdn_prefetch.files_max 1001 is not within 1 to 1000");
        let crowd = vec![r#"{"sql": {"database": "b"}}"#; 17].join(",");
        assert_eq!(refusal(&format!("[{crowd}]")), "17 steps are asked for, 16 at most");
    }
}
