//! `framefleet submit`, `jobs`, `dead` and `workers`: a coordinator is asked over HTTP.

mod server;
/// `framefleet token`.
pub mod token;

use std::time::Duration;

use framefleet_coordinator::ops::planned::PlannedJson;
use framefleet_coordinator::ops::wire::{
    JobJson, LetterJson, LettersJson, ListJson, StepJson, SubmittedJson, ViewJson, WorkerJson,
};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::pipeline::OnExisting;
use futures::StreamExt as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
pub(crate) use server::Server;
use server::odd;

use crate::args::Format;
use crate::args::asking::{DeadCommand, JobsCommand, ListArgs, OneArgs, SubmitArgs, WorkersArgs};
use crate::asked::by_pipeline::{self, ByPipeline};
use crate::asked::{Asked, AskedTerms, OVERWRITE};
use crate::location::Reach;
use crate::render::{self, Table};
use crate::request::check;
use crate::settings::{refused, whole};
use crate::{images, jobfile, planned, render::print};

/// A coordinator gives up before.
const PLAN_TIME_MAX: Duration = Duration::from_secs(330);
const LISTED: std::ops::RangeInclusive<u32> = 1..=1000;
/// Between two tries to go on following a job.
const FOLLOW_PAUSE: Duration = Duration::from_secs(1);
/// So often in a row may a coordinator be away while a job is followed.
const FOLLOW_TRIES_MAX: u32 = 60;
const LINE_BYTES_MAX: usize = 1 << 20;

pub async fn submit(args: &SubmitArgs) -> Result<(), Fault> {
    let asked = asked(args)?;
    let server = Server::of(&args.server)?;
    if args.dry_run {
        let wish = server.request(Method::POST, "v1/plans").header(CONTENT_TYPE, "application/json");
        let planned: PlannedJson = server.ask(wish.timeout(PLAN_TIME_MAX).body(jobfile::to_json(&asked))).await?;
        return print(args.server.output, &planned, planned::table);
    }
    let sent = server.request(Method::POST, "v1/jobs").header(CONTENT_TYPE, "application/json");
    let mut sent = sent.body(jobfile::to_json(&asked));
    if let Some(key) = &args.terms.key {
        sent = sent.header("idempotency-key", key);
    }
    let answer: SubmittedJson = server.ask(sent).await?;
    if args.wait {
        return follow(&server, &answer.job, args.server.output).await;
    }
    if answer.submitted == "ended" {
        // Scripts read the id alone; people must know that nothing was begun.
        eprintln!("framefleet: this job has ended already; `framefleet jobs retry {}` begins it anew", answer.job);
    }
    print(args.server.output, &answer, |answer| format!("{}\n", answer.job))
}

/// Checked here already, and with every place made absolute: a coordinator is elsewhere.
fn asked(args: &SubmitArgs) -> Result<Asked, Fault> {
    let mut asked = match &args.film.job {
        Some(path) => jobfile::read(path)?,
        None => Asked { pipeline: args.pipeline.clone(), into: args.into.clone(), ..Asked::by_flags(&args.film) },
    };
    let given = &args.terms;
    let or = |flag: &Option<String>, file: Option<String>| flag.clone().or(file);
    asked.terms = AskedTerms {
        tenant: or(&given.tenant, asked.terms.tenant.take()),
        priority: or(&given.priority, asked.terms.priority.take()),
        deadline: or(&given.deadline, asked.terms.deadline.take()),
    };
    if args.overwrite {
        asked.on_existing = Some(OVERWRITE.to_owned());
    }
    if let Some(name) = asked.pipeline.clone() {
        let ByPipeline { source, into, .. } = by_pipeline::check((&asked, &name), Reach::Named)?;
        asked.source = source.url();
        asked.into = Some(into.to_string());
        return Ok(asked);
    }
    let checked = check(&asked, (OnExisting::Fail, Reach::Named))?;
    asked.source = checked.source.url();
    for (output, place) in asked.outputs.iter_mut().zip(&checked.outputs) {
        output.to = images::template(output, place);
    }
    Ok(asked)
}

pub async fn jobs(command: &JobsCommand) -> Result<(), Fault> {
    match command {
        JobsCommand::List(args) => list(args).await,
        JobsCommand::Show(args) => {
            let server = Server::of(&args.server)?;
            let view: ViewJson = server.ask(server.request(Method::GET, &job(args)?)).await?;
            print(args.server.output, &view, shown)
        }
        JobsCommand::Watch(args) => follow(&Server::of(&args.server)?, &args.id, args.server.output).await,
        JobsCommand::Cancel(args) => {
            let server = Server::of(&args.server)?;
            server.send(server.request(Method::POST, &(job(args)? + "/cancel"))).await.map(drop)
        }
        JobsCommand::Retry(args) => {
            let server = Server::of(&args.server)?;
            let answer: SubmittedJson = server.ask(server.request(Method::POST, &(job(args)? + "/retry"))).await?;
            print(args.server.output, &answer, |answer| format!("{}\n", answer.submitted))
        }
    }
}

async fn list(args: &ListArgs) -> Result<(), Fault> {
    let server = Server::of(&args.server)?;
    let limit = whole("limit", &args.limit, &LISTED)?.to_string();
    let mut query = vec![("limit", limit)];
    query.extend(args.state.clone().map(|state| ("state", state)));
    query.extend(args.tenant.clone().map(|tenant| ("tenant", tenant)));
    let query: Vec<String> = query.iter().map(|(key, value)| [*key, "=", &encoded(value)].concat()).collect();
    let path = ["v1/jobs?", &query.join("&")].concat();
    let listed: ListJson = server.ask(server.request(Method::GET, &path)).await?;
    print(args.server.output, &listed, |listed| {
        let mut table = Table::new(["ID", "STATE", "TENANT", "PRIORITY", "CREATED", "SOURCE"]);
        for job in &listed.jobs {
            let JobJson { id, state, tenant, priority, created_ms, source, .. } = job.clone();
            table.row([id, state, tenant, priority, render::moment(created_ms), source]);
        }
        table.to_string()
    })
}

pub async fn dead(command: &DeadCommand) -> Result<(), Fault> {
    match command {
        DeadCommand::List(args) => {
            let server = Server::of(&args.server)?;
            let limit = whole("limit", &args.limit, &LISTED)?;
            let path = format!("v1/dead?limit={limit}");
            let listed: LettersJson = server.ask(server.request(Method::GET, &path)).await?;
            print(args.server.output, &listed, |listed| {
                let mut table = Table::new(["ID", "AT", "WHAT", "WHY"]);
                for letter in &listed.letters {
                    let LetterJson { id, at_ms, what, why, .. } = letter.clone();
                    table.row([id, render::moment(at_ms), what, why]);
                }
                table.to_string()
            })
        }
        DeadCommand::Show(args) => {
            let server = Server::of(&args.server)?;
            let letter: LetterJson = server.ask(server.request(Method::GET, &letter(args)?)).await?;
            print(args.server.output, &letter, |letter| {
                let lines = letter.evidence.iter().chain(&letter.body).map(|line| format!("  {line}\n"));
                let LetterJson { what, why, at_ms, .. } = letter;
                let head = format!("{what}\n{why}\n{}\n", render::moment(*at_ms));
                head + &lines.collect::<String>()
            })
        }
        DeadCommand::Retry(args) => {
            let server = Server::of(&args.server)?;
            server.send(server.request(Method::POST, &(letter(args)? + "/retry"))).await.map(drop)
        }
        DeadCommand::Drop(args) => {
            let server = Server::of(&args.server)?;
            server.send(server.request(Method::DELETE, &letter(args)?)).await.map(drop)
        }
    }
}

pub async fn workers(args: &WorkersArgs) -> Result<(), Fault> {
    let server = Server::of(&args.server)?;
    let workers: Vec<WorkerJson> = server.ask(server.request(Method::GET, "v1/workers")).await?;
    print(args.server.output, &workers, |workers| {
        let mut table = Table::new(["NAME", "STATE", "BUSY", "SLOTS", "BUILD"]);
        for worker in workers {
            let busy = worker.busy.values().sum::<u32>().to_string();
            let slots: Vec<String> = worker.slots.iter().map(|(class, count)| format!("{class}={count}")).collect();
            let WorkerJson { name, state, build, .. } = worker.clone();
            table.row([name, state, busy, slots.join(","), build]);
        }
        table.to_string()
    })
}

/// Until the job is over; ends as the job did. A coordinator that goes away is waited for: another may come.
async fn follow(server: &Server, id: &str, format: Format) -> Result<(), Fault> {
    let path = ["v1/jobs/", &hex_id(id)?, "/events"].concat();
    let (mut last, mut away) = (None, 0);
    loop {
        let mut request = server.streaming(&path);
        if let Some(view) = &last {
            let ViewJson { version, .. }: &ViewJson = view;
            request = request.header("last-event-id", version);
        }
        match server.send(request).await {
            Ok(answer) => {
                away = 0;
                read_events(answer, &mut last, format).await?;
            }
            Err(fault) if is_passing(&fault) && away < FOLLOW_TRIES_MAX => away += 1,
            Err(fault) => return Err(fault),
        }
        match last.as_ref().filter(|view| view.over) {
            Some(view) => return ended(view, format),
            None => tokio::time::sleep(FOLLOW_PAUSE).await,
        }
    }
}

/// Nobody answers, or not now.
fn is_passing(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::StoreAway | FaultKind::Busy)
}

/// Server-sent events: lines of `data:` with a job's view in each.
async fn read_events(answer: Response, last: &mut Option<ViewJson>, format: Format) -> Result<(), Fault> {
    let mut bytes = answer.bytes_stream();
    let mut buffer = Vec::new();
    // A stream that breaks is taken up again where it was.
    while let Some(Ok(more)) = bytes.next().await {
        buffer.extend_from_slice(&more);
        if buffer.len() > LINE_BYTES_MAX {
            return Err(odd(format!("a line is longer than {LINE_BYTES_MAX} bytes")));
        }
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data:") else { continue };
            let view: ViewJson = serde_json::from_slice(data).map_err(|e| odd(e.to_string()))?;
            if format == Format::Table {
                render::write(&line_of(&view))?;
            }
            *last = Some(view);
        }
    }
    Ok(())
}

fn line_of(view: &ViewJson) -> String {
    let (segments, merges) = (view.segments, view.merges);
    let state = &view.job.state;
    let running = view.running.len();
    format!(
        "{state}: {}/{} segments, {}/{} outputs, {running} running\n",
        segments.done, segments.total, merges.done, merges.total
    )
}

fn ended(view: &ViewJson, format: Format) -> Result<(), Fault> {
    if format != Format::Table {
        print(format, view, |_| String::new())?;
    }
    match (view.job.state.as_str(), &view.job.fault) {
        (_, Some(fault)) => {
            let kind = FaultKind::ALL.iter().find(|kind| kind.code() == fault.code);
            let told = Fault::new(kind.copied().unwrap_or(FaultKind::Internal), fault.message.clone());
            Err(fault.evidence.iter().fold(told, |told, line| told.with_evidence(line)))
        }
        ("cancelled", None) => {
            Err(Fault::new(FaultKind::Cancelled, view.job.reason.clone().unwrap_or_else(|| "cancelled".to_owned())))
        }
        _ => Ok(()),
    }
}

fn shown(view: &ViewJson) -> String {
    let mut text = line_of(view);
    let job = &view.job;
    for (name, value) in [
        ("source", Some(job.source.clone())),
        ("trigger", job.trigger.clone()),
        ("pipeline", job.pipeline.clone()),
        ("tenant", Some(job.tenant.clone())),
        ("priority", Some(job.priority.clone())),
        ("created", Some(render::moment(job.created_ms))),
        ("deadline", job.deadline_ms.map(render::moment)),
        ("ended", job.ended_ms.map(render::moment)),
        ("reason", job.reason.clone()),
        ("fault", job.fault.as_ref().map(|fault| format!("{} [F{}, {}]", fault.message, fault.code, fault.whose))),
    ] {
        text.extend(value.map(|value| format!("{name:9} {value}\n")));
    }
    for running in &view.running {
        text.push_str(&format!("running   {} on {}\n", running.task, running.worker));
    }
    view.steps.iter().for_each(|step| text.push_str(&shown_step(step)));
    text
}

fn shown_step(step: &StepJson) -> String {
    let StepJson { generation, name, state, tries, next_ms, ended_ms, error } = step;
    let when = match (next_ms, ended_ms) {
        (Some(next), _) => format!(", next {}", render::moment(*next)),
        (None, Some(ended)) => format!(" {}", render::moment(*ended)),
        (None, None) => String::new(),
    };
    let error = error.as_ref().map(|error| format!(": {}", render::printable(error))).unwrap_or_default();
    format!("step      {name} (generation {generation}) {state}{when}, {tries} tries{error}\n")
}

fn job(args: &OneArgs) -> Result<String, Fault> {
    Ok(["v1/jobs/", &hex_id(&args.id)?].concat())
}

fn letter(args: &OneArgs) -> Result<String, Fault> {
    if args.id.is_empty() || !args.id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        return Err(refused(format!("{:?} is no id of a dead letter", args.id)));
    }
    Ok(["v1/dead/", &args.id].concat())
}

fn hex_id(id: &str) -> Result<String, Fault> {
    let fits = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    if fits { Ok(id.to_owned()) } else { Err(refused(format!("{id:?} is no job id: 32 hexadecimal digits"))) }
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
