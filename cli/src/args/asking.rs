//! The command lines of those who ask a coordinator.

#![allow(rustdoc::broken_intra_doc_links, reason = "brackets name tables of the configuration in what --help prints")]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{FilmArgs, Format};

/// The variables that say which coordinator is asked, and as whom.
pub const SERVER: &str = "FRAMEFLEET__SERVER";
pub const TOKEN_FILE: &str = "FRAMEFLEET__TOKEN_FILE";
pub const TOKEN: &str = "FRAMEFLEET__TOKEN";

#[derive(Debug, Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    pub film: FilmArgs,
    /// Make of SRC, in place of OUT, what this pipeline of the coordinator's says: name@version, or its name if it has one version
    #[arg(long, value_name = "NAME", requires = "into", conflicts_with_all = ["job", "outputs", "ContainerArgs", "PackageArgs", "VideoArgs", "WatermarkArgs", "AudioArgs", "WorkArgs"])]
    pub pipeline: Option<String>,
    /// The folder that the pipeline's outputs lie below, such as s3://made/web/{dir}
    #[arg(long, value_name = "URL", requires = "pipeline")]
    pub into: Option<String>,
    /// Replace what stands at an OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Stay until the job is over, and end as it did
    #[arg(long)]
    pub wait: bool,
    /// Show the plan that the job would get, and submit nothing
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    #[command(flatten)]
    pub terms: TermsArgs,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Terms")]
pub struct TermsArgs {
    /// Whose the job is: tenants take turns [default: default]
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// urgent, normal or bulk, among the jobs of a tenant [default: normal]
    #[arg(long, value_name = "NAME")]
    pub priority: Option<String>,
    /// The job fails if it has not ended so long after it was accepted, such as 2h
    #[arg(long, value_name = "DUR")]
    pub deadline: Option<String>,
    /// Names the job: the same key is the same job, however often it is submitted
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// The coordinator
    #[arg(long, value_name = "URL", env = SERVER, default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// A file that holds the token to ask with; the variable FRAMEFLEET__TOKEN may hold the token itself
    #[arg(long, value_name = "FILE", env = TOKEN_FILE)]
    pub token_file: Option<PathBuf>,
    /// Send the token over http:// to another machine: whoever is on the way can read it, and ask as you
    #[arg(long)]
    pub insecure: bool,
    /// How the answer is printed
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct JobsArgs {
    #[command(subcommand)]
    pub command: JobsCommand,
}

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List jobs, the youngest first
    List(ListArgs),
    /// Show a job
    Show(OneArgs),
    /// Follow a job until it is over
    Watch(OneArgs),
    /// Ask for a job's end
    Cancel(OneArgs),
    /// Begin a job that failed or was cancelled anew
    Retry(OneArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only jobs in this state, such as failed
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Only jobs of this tenant
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// So many at most
    #[arg(long, value_name = "N", default_value = "100")]
    pub limit: String,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct OneArgs {
    /// The id
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct PipelinesArgs {
    #[command(subcommand)]
    pub command: PipelinesCommand,
}

#[derive(Debug, Subcommand)]
pub enum PipelinesCommand {
    /// List the pipelines that a coordinator knows, every version of each
    List(WorkersArgs),
    /// Show all versions of a pipeline, or one of them
    Show(NamedArgs),
    /// Say whether a coordinator would take pipelines and triggers beside its own
    Validate(ValidateArgs),
}

#[derive(Debug, Args)]
pub struct NamedArgs {
    /// The name, or name@version
    #[arg(value_name = "NAME")]
    pub name: String,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// [[pipelines]] and [[triggers]] as a .toml file, or the same as YAML or JSON
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct DeadArgs {
    #[command(subcommand)]
    pub command: DeadCommand,
}

#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List what was given up, the youngest first
    List(DeadListArgs),
    /// Show a dead letter with its evidence
    Show(OneArgs),
    /// Begin the job that it stopped anew, or read its message again, and throw the letter away
    Retry(OneArgs),
    /// Throw the letter away
    Drop(OneArgs),
}

#[derive(Debug, Args)]
pub struct TokenArgs {
    /// What logs call whoever has the token
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it may do: submit, read or admin, which is all of it
    #[arg(long, value_name = "SCOPES")]
    pub scopes: String,
    /// Whose jobs it sees and submits [default: everybody's]
    #[arg(long, value_name = "TENANTS")]
    pub tenants: Option<String>,
    /// Folders that all it names must lie below, such as s3://media/news/,file:///srv/news/ [default: whatever the fleet reaches]
    #[arg(long, value_name = "PLACES")]
    pub places: Option<String>,
    /// How the answer is printed
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct DeadListArgs {
    /// So many at most
    #[arg(long, value_name = "N", default_value = "100")]
    pub limit: String,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Args)]
pub struct WorkersArgs {
    #[command(flatten)]
    pub server: ServerArgs,
}
