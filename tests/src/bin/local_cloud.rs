//! A cloud on one's own machine, to try a fleet on: `local_cloud FOLDER [--rabbitmq URL | --mns QUEUE]`.
//!
//! The folders in FOLDER are buckets, at http://127.0.0.1:9000; keys are `test-key` and `test-secret`. What is uploaded is
//! told to RabbitMQ's exchange `framefleet.ingest`, as MinIO tells it, or to a queue at http://127.0.0.1:9001, as OSS does.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use framefleet_tests::cloud::{Ear, serve};
use framefleet_tests::mns::Mns;

const USAGE: &str = "usage: local_cloud FOLDER [--rabbitmq URL | --mns QUEUE] [--s3-port N] [--mns-port N]";
const VISIBILITY: Duration = Duration::from_secs(30);

struct Asked {
    folder: PathBuf,
    rabbitmq: Option<String>,
    queue: Option<String>,
    s3_port: u16,
    mns_port: u16,
}

fn main() -> ExitCode {
    let Some(asked) = asked(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(run(asked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("local_cloud: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(asked: Asked) -> Result<(), String> {
    let ear = match (&asked.rabbitmq, &asked.queue) {
        (Some(url), _) => Ear::rabbit(url).await.map_err(|error| format!("RabbitMQ: {error}"))?,
        (None, Some(queue)) => Ear::Queue(
            Mns::start_at(([127, 0, 0, 1], asked.mns_port).into(), &[queue.as_str()], VISIBILITY),
            queue.clone(),
        ),
        (None, None) => Ear::Nobody,
    };
    let address = ([127, 0, 0, 1], asked.s3_port).into();
    serve(&asked.folder, address, ear)
        .await
        .map_err(|error| format!("{} at {address}: {error}", asked.folder.display()))
}

fn asked(mut words: impl Iterator<Item = String>) -> Option<Asked> {
    let folder = PathBuf::from(words.next().filter(|word| !word.starts_with('-'))?);
    let mut asked = Asked { folder, rabbitmq: None, queue: None, s3_port: 9000, mns_port: 9001 };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rabbitmq" => asked.rabbitmq = Some(words.next()?),
            "--mns" => asked.queue = Some(words.next()?),
            "--s3-port" => asked.s3_port = words.next()?.parse().ok()?,
            "--mns-port" => asked.mns_port = words.next()?.parse().ok()?,
            _ => return None,
        }
    }
    Some(asked)
}
