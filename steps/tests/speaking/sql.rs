//! Rows of a real PostgreSQL.

use framefleet_common::ports::steps::{Call, Steps as _};
use framefleet_model::step::life::Answer;
use framefleet_model::step::{Ending, Step};
use framefleet_steps::sql::{Database, Schema};
use framefleet_steps::targets::Targets;
use serde_json::{Value, json};

use super::postgres::Postgres;
use super::why;

fn targets(url: &str, schema: Schema) -> Targets {
    let database = Database::new(url, schema).unwrap();
    Targets { databases: [("records".to_owned(), database)].into(), ..Targets::default() }
}

/// An event of docs/EVENTS.md, at so many seconds of its day.
fn event(generation: u32, state: &str, second: u32) -> Value {
    let end = 1_795_809_600_000_u64 + u64::from(second) * 1000;
    json!({
        "specversion": "1.0", "id": format!("j:{generation}:{state}"), "source": "/framefleet",
        "type": format!("framefleet.job.{state}"), "subject": "j",
        "time": format!("2026-11-27T20:00:{second:02}.500Z"),
        "data": {
            "job": "j", "generation": generation, "tenant": "news", "priority": "normal",
            "source": { "url": "s3://films/ü.mov", "bytes": 5_000_000_000_u64, "version": "e" },
            "trigger": "films", "pipeline": "web@3",
            "timings": { "accepted_ms": 1_795_809_600_000_u64, "started_ms": 1_795_809_600_020_u64, "ended_ms": end },
            "cost": { "cpu_ms": 12 },
            "outputs": [{ "url": "s3://made/a.mp4", "sha256": "0" }],
        }
    })
}

async fn write(targets: &Targets, event: &Value) -> Answer {
    let step = Step::Sql { target: "records".into(), events: Ending::ALL.into() };
    let (id, body) = (event["id"].as_str().unwrap(), event.to_string());
    targets.run(&Call { step: &step, event: id, body: &body, files: &[], files_done: 0 }).await
}

const ROW: &str = "SELECT generation, state, event_id, ended_at AT TIME ZONE 'UTC' FROM framefleet_jobs";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_one_row_and_an_older_event_never_overwrites_a_newer_one() {
    let mut server = Postgres::start();
    let targets = targets(&server.url(), Schema::Made);
    let (cancelled, completed) = (event(1, "cancelled", 3), event(2, "completed", 9));
    assert_eq!(write(&targets, &completed).await, Answer::Done);
    let newest = "2|completed|j:2:completed|2026-11-27 20:00:09";
    for again in [&cancelled, &completed, &cancelled, &completed] {
        assert_eq!(write(&targets, again).await, Answer::Done);
        assert_eq!(server.ask(ROW), newest);
    }
    let row = "SELECT tenant, source_url, source_bytes, trigger_name, pipeline, outputs->0->>'url', cpu_ms, fault, reason, \
               extract(epoch FROM started_at)::numeric(20,3) FROM framefleet_jobs";
    assert_eq!(server.ask(row), "news|s3://films/ü.mov|5000000000|films|web@3|s3://made/a.mp4|12|||1795809600.020");

    // Forgotten and asked for again: a younger life of a lower generation.
    assert_eq!(write(&targets, &event(1, "failed", 20)).await, Answer::Done);
    assert!(server.ask(ROW).starts_with("1|failed|"));

    server.stop();
    let away = why(write(&targets, &event(2, "completed", 30)).await);
    assert!(!away.contains("hunter2"), "{away}");
    server.run();
    assert_eq!(write(&targets, &event(2, "completed", 30)).await, Answer::Done);
    assert!(server.ask(ROW).starts_with("2|completed|"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_made_once_by_whoever_comes_first_or_by_people() {
    let server = Postgres::start();
    let expected = targets(&server.url(), Schema::Expected);
    let missing = why(write(&expected, &event(1, "completed", 1)).await);
    assert!(missing.ends_with("set migrate = true, or apply steps/migrations"), "{missing}");
    // Another program keeps its own migrations there.
    server.ask("CREATE TABLE _sqlx_migrations (version bigint)");
    let crowd = [(); 4].map(|()| targets(&server.url(), Schema::Made));
    let events = [1, 2, 3, 4].map(|second| event(1, "completed", second));
    let answers = tokio::join!(
        write(&crowd[0], &events[0]),
        write(&crowd[1], &events[1]),
        write(&crowd[2], &events[2]),
        write(&crowd[3], &events[3])
    );
    assert_eq!([answers.0, answers.1, answers.2, answers.3], [const { Answer::Done }; 4]);
    assert_eq!(server.ask("SELECT count(*) FROM framefleet_migrations"), "1");
    assert_eq!(write(&expected, &event(1, "completed", 5)).await, Answer::Done);

    server.ask("ALTER TABLE framefleet_jobs ADD CONSTRAINT tenants CHECK (tenant <> 'news') NOT VALID");
    let refused = write(&expected, &event(1, "completed", 6)).await;
    assert!(matches!(&refused, Answer::Never { why } if why.contains("tenants")), "{refused:?}");
    let odd = write(&expected, &json!({ "id": "x", "type": "x" })).await;
    assert!(matches!(&odd, Answer::Never { why } if why.contains("the event is none of a job's end")), "{odd:?}");
}
