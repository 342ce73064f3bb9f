//! What stands in a job's trace, without any process or server, and that dashboards ask for what is told.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::process::traces::{self, Figures, Medium, QUEUE_SPANS, Span, Traces, Value, attribute};
use framefleet_coordinator::inbox::{Asker, Submission};
use framefleet_coordinator::ops::Ops as _;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::job::Job;
use framefleet_model::task::Work;
use framefleet_model::trace::{JobTrace, Share};
use framefleet_tests::fleet::media::{Fate, TextMedia};
use framefleet_tests::fleet::{Rig, Role, request};
use framefleet_tests::place;
use prometheus::Registry;

const FILM: &str = "pictures=100 gop=25";
const SEGMENTS: usize = 4;
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn medium() -> Medium {
    Medium::RabbitMq { prefix: "fleet".to_owned() }
}

/// The first attempt at the second segment crashes.
#[derive(Default)]
struct OnceUnlucky(AtomicBool);

#[async_trait]
impl Fate for OnceUnlucky {
    async fn of(&self, work: &Work) -> Result<(), Fault> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let unlucky = matches!(work, Work::Encode(work) if work.segment.number == 1);
        if unlucky && !self.0.swap(true, Ordering::SeqCst) {
            return Err(Fault::new(FaultKind::Crashed, "it fell"));
        }
        Ok(())
    }
}

/// A job's row and all spans that were told while it was made.
async fn lived(share: Option<Share>, asked: Asker) -> (Job, Vec<Span>) {
    let rig = Rig::new(Arc::new(TextMedia::new(OnceUnlucky::default())));
    let (traces, mut spans) = match share {
        Some(share) => Traces::new((share, medium()), QUEUE_SPANS, Figures::new(&Registry::new())),
        None => (Traces::default(), tokio::sync::mpsc::channel(1).1),
    };
    let (coordinator, worker) = (rig.coordinator("c").traced(traces.clone()), rig.worker("w").traced(traces));
    let wish = request(&rig.film("film.mov", FILM), &[rig.path("out.mp4")]);
    let (id, _) = coordinator.ops().submit(&Submission { asked, ..Submission::of(wish) }).await.unwrap();
    let roles = [
        Role::start(move |stop| async move { coordinator.run(stop).await }),
        Role::start(
            move |stop| async move { worker.run(framefleet_common::process::drain::Halt::at_once(stop)).await },
        ),
    ];
    let view = rig.end_of(&id).await.unwrap();
    for role in roles {
        role.stop().await;
    }
    let mut told = Vec::new();
    while let Ok(span) = spans.try_recv() {
        told.push(span);
    }
    (view.job, told)
}

fn text<'s>(span: &'s Span, name: &str) -> &'s str {
    let found = span.attributes.iter().find(|(known, _)| *known == name);
    found.map_or("", |(_, value)| if let Value::Text(text) = value { text } else { "" })
}

#[tokio::test(start_paused = true)]
async fn every_attempt_stands_under_its_job_which_stands_under_whoever_asked() {
    let (job, spans) = lived(Some(Share::ALL), Asker::Within(CALLER.parse().unwrap())).await;
    let trace = job.trace.unwrap();
    assert_eq!(trace.parent.map(|span| span.to_string()).as_deref(), Some("b7ad6b7169203331"));
    assert!(spans.iter().all(|span| span.context.trace.to_string() == "0af7651916cd43dd8448eb211c80319c"));
    let (own, others): (Vec<&Span>, Vec<&Span>) = spans.iter().partition(|span| span.name == traces::JOB);
    let [own] = own[..] else { panic!("{own:#?}") };
    assert_eq!((own.context, own.parent), (trace.traceparent, trace.parent));
    assert!(others.iter().all(|span| span.parent == Some(trace.traceparent.span)), "{others:#?}");
    let ids: BTreeSet<String> = spans.iter().map(|span| span.context.span.to_string()).collect();
    assert_eq!(ids.len(), spans.len(), "no id stands twice");

    let mut outcomes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for span in others.iter().filter(|span| span.name == traces::ATTEMPT) {
        outcomes.entry(text(span, attribute::TASK)).or_default().push(text(span, attribute::OUTCOME));
        assert_eq!(span.fault.is_some(), text(span, attribute::OUTCOME) == "failed", "{span:?}");
    }
    assert_eq!(outcomes.len(), SEGMENTS + 3, "index, sound, merge and segments: {outcomes:?}");
    assert_eq!(outcomes["encode-00001"], ["failed", "settled"]);
    let effects: Vec<&str> =
        others.iter().map(|span| span.name).filter(|name| traces::EFFECTS.contains(name)).collect();
    assert_eq!(effects, traces::EFFECTS, "each once, in order");
    let to = |name: &str| -> Vec<&str> {
        let such = others.iter().filter(|span| span.name == name);
        such.map(|span| text(span, attribute::DESTINATION)).collect()
    };
    let (sends, hints) = (to(traces::SEND), to(traces::HINT));
    assert_eq!(sends, ["fleet.out"; 3]);
    // The merge is hinted to nobody, and one segment twice.
    assert_eq!(hints.len(), outcomes.len());
    assert!(hints.iter().all(|queue| ["fleet.tasks.light", "fleet.tasks.standard"].contains(queue)), "{hints:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_sampled_is_not_told_of_and_without_a_collector_rows_are_as_ever() {
    let (job, spans) = lived(Some(Share::of_millionths(0).unwrap()), Asker::Unsaid).await;
    assert!(job.trace.is_some_and(|trace| !trace.traceparent.is_kept()) && spans.is_empty());
    let (job, spans) = lived(None, Asker::Unsaid).await;
    assert!(job.trace.is_none() && spans.is_empty());
    let row = serde_json::to_value(&job).unwrap();
    assert!(row.get("trace").is_none(), "a build that knows no traces reads the same row: {row}");
    // A row of such a build reads as one without a trace; one with a trace keeps it.
    assert_eq!(serde_json::from_value::<Job>(row).unwrap(), job);
    let traced = job.clone().traced(Some(JobTrace::begun((&job.id, 1), Share::ALL)));
    let text = serde_json::to_string(&traced).unwrap();
    assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), traced);
    assert_eq!(job.next_generation(job.terms.clone(), job.created).trace, None, "each generation has its own");
}

/// Words after this one in a query, as TraceQL has them.
fn words(query: &str, before: &str) -> BTreeSet<String> {
    let after = query.split(before).skip(1);
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || "_.".contains(*c)).collect();
    after.map(|text| word(text.trim_start_matches([' ', '=', '"']))).collect()
}

#[test]
fn the_dashboard_of_a_job_asks_for_what_is_told() {
    let text = std::fs::read_to_string(place::top().join("deploy/grafana/job.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let targets =
        dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let (mut names, mut attributes, mut logs) = (BTreeSet::new(), BTreeSet::new(), 0);
    for target in targets {
        match target["datasource"]["type"].as_str().unwrap() {
            "tempo" => {
                let query = target["query"].as_str().unwrap();
                names.extend(words(query, "&& name"));
                attributes.extend(words(query, "span."));
                assert!(query.contains("span.job = \"$job\""), "of one job: {query}");
            }
            "loki" => {
                logs += 1;
                assert!(target["expr"].as_str().unwrap().contains("| json | job=\"$job\""), "{target}");
            }
            other => panic!("{other} knows nothing of a job"),
        }
    }
    let ours = |known: &[&str]| known.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    assert_eq!((names, logs), (ours(&[traces::JOB, traces::ATTEMPT]), 1));
    assert!(attributes.is_subset(&ours(&attribute::ALL)), "{attributes:?}");
    let wanted = [attribute::JOB, attribute::TASK, attribute::WORKER, attribute::OUTCOME];
    assert!(attributes.is_superset(&ours(&wanted)), "{attributes:?}");
}
