//! `framefleet pipelines`: what is configured where a coordinator runs, and whether something else would be taken.

use std::path::Path;

use framefleet_coordinator::ops::pipelines::{PipelineJson, ValidatedJson};
use framefleet_model::fault::Fault;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use crate::args::Format;
use crate::args::asking::{PipelinesCommand, ServerArgs};
use crate::asking::{Server, encoded};
use crate::config::pipelines;
use crate::render::{Table, print};
use crate::settings::refused;

const FILE_BYTES_MAX: u64 = 1 << 20;

pub async fn run(command: &PipelinesCommand) -> Result<(), Fault> {
    match command {
        PipelinesCommand::List(args) => list(&args.server).await,
        PipelinesCommand::Show(args) => {
            let server = Server::of(&args.server)?;
            let path = ["v1/pipelines/", &encoded(&args.name)].concat();
            let found: Vec<PipelineJson> = server.ask(server.request(Method::GET, &path)).await?;
            print(args.server.output, &found, |found| found.iter().map(shown).collect())
        }
        PipelinesCommand::Validate(args) => validate(&args.file, &args.server).await,
    }
}

async fn list(args: &ServerArgs) -> Result<(), Fault> {
    let server = Server::of(args)?;
    let known: Vec<PipelineJson> = server.ask(server.request(Method::GET, "v1/pipelines")).await?;
    print(args.output, &known, |known| {
        let mut table = Table::new(["NAME", "VERSION", "OUTPUTS", "TRIGGERS"]);
        for pipeline in known {
            let outputs = pipeline.definition["outputs"].as_array().map_or(0, Vec::len);
            let PipelineJson { name, version, triggers, .. } = pipeline.clone();
            table.row([name, version, outputs.to_string(), triggers.join(", ")]);
        }
        table.to_string()
    })
}

fn shown(pipeline: &PipelineJson) -> String {
    let triggers = if pipeline.triggers.is_empty() { "none".to_owned() } else { pipeline.triggers.join(", ") };
    let definition = serde_saphyr::to_string(&pipeline.definition).unwrap_or_default();
    let definition: String = definition.lines().map(|line| format!("  {line}\n")).collect();
    format!("{} (triggers: {triggers})\n{definition}", pipeline.id)
}

/// A file with `[[pipelines]]` and `[[triggers]]`, or the same in YAML or JSON.
async fn validate(file: &Path, args: &ServerArgs) -> Result<(), Fault> {
    let unreadable = |why: String| refused(format!("rules {}: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|e| unreadable(e.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(format!("{size} bytes are over the bound of {FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(file).map_err(|e| unreadable(e.to_string()))?;
    let is_toml = file.extension().is_some_and(|extension| extension == "toml");
    let text = if is_toml { pipelines::of_toml(&text)? } else { text };
    let server = Server::of(args)?;
    let asked =
        server.request(Method::POST, "v1/pipelines/validate").header(CONTENT_TYPE, "application/yaml").body(text);
    let told: ValidatedJson = server.ask(asked).await?;
    if args.output != Format::Table || told.valid {
        print(args.output, &told, |told| {
            let line = |what: &str, name: &String| format!("{what} {name} would be taken\n");
            let pipelines = told.pipelines.iter().map(|name| line("pipeline", name));
            pipelines.chain(told.triggers.iter().map(|name| line("trigger", name))).collect()
        })?;
    }
    match told.refusal {
        None => Ok(()),
        Some(why) => Err(refused(why)),
    }
}
