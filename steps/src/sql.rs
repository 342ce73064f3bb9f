//! The record of a job in PostgreSQL: one row, written as often as need be, never by an older event over a newer one.
//!
//! The table is made by the first step that needs it, under a lock of the database, or by people where that is not wanted:
//! `migrations/` holds all there is.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use framefleet_common::ports::steps::Call;
use framefleet_common::process::tls;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::step::life::Answer;
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::sync::OnceCell;

use crate::record::Record;

const CONNECTIONS_MAX: u32 = 4;
const CONNECT: Duration = Duration::from_secs(10);
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "jobs", include_str!("../migrations/0001_jobs.sql"))];
/// Others may keep their own under the usual name.
const MIGRATIONS_TABLE: &str = "framefleet_migrations";

const UPSERT: &str = "
    INSERT INTO framefleet_jobs AS known (
        id, generation, tenant, priority, state, source_url, source_bytes, source_version, trigger_name, pipeline,
        outputs, accepted_at, started_at, ended_at, cpu_ms, fault, reason, event_id, event_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
    ON CONFLICT (id) DO UPDATE SET
        generation = EXCLUDED.generation, tenant = EXCLUDED.tenant, priority = EXCLUDED.priority,
        state = EXCLUDED.state, source_url = EXCLUDED.source_url, source_bytes = EXCLUDED.source_bytes,
        source_version = EXCLUDED.source_version, trigger_name = EXCLUDED.trigger_name, pipeline = EXCLUDED.pipeline,
        outputs = EXCLUDED.outputs, accepted_at = EXCLUDED.accepted_at, started_at = EXCLUDED.started_at,
        ended_at = EXCLUDED.ended_at, cpu_ms = EXCLUDED.cpu_ms, fault = EXCLUDED.fault, reason = EXCLUDED.reason,
        event_id = EXCLUDED.event_id, event_at = EXCLUDED.event_at
    WHERE (known.event_at, known.generation) <= (EXCLUDED.event_at, EXCLUDED.generation)";

/// Who makes the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// The first step that needs it.
    Made,
    /// People.
    Expected,
}

pub struct Database {
    pool: PgPool,
    schema: Schema,
    made: OnceCell<()>,
}

impl Database {
    /// From the connection to the answer.
    pub(crate) const TIME_MAX: Duration = Duration::from_secs(30);

    /// Connects when it is first written to.
    pub fn new(url: &str, schema: Schema) -> Result<Self, Fault> {
        tls::install();
        // What the parser says may repeat a password.
        let odd = |_| Fault::new(FaultKind::Settings, "a database's URL is none such as postgres://user@host/name");
        let options = PgConnectOptions::from_str(url).map_err(odd)?.application_name("framefleet");
        // Poolers that hand a connection from one transaction to the next know no prepared statements.
        let options = options.statement_cache_capacity(0);
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).min_connections(0).acquire_timeout(CONNECT);
        Ok(Self { pool: pool.connect_lazy_with(options), schema, made: OnceCell::new() })
    }

    pub(crate) async fn write(&self, call: &Call<'_>) -> Answer {
        let record = match Record::of(call.body) {
            Ok(record) => record,
            Err(why) => return Answer::Never { why },
        };
        match self.put(&record).await {
            Ok(()) => Answer::Done,
            Err(error) => judge(&error),
        }
    }

    async fn put(&self, record: &Record) -> Result<(), sqlx::Error> {
        if self.schema == Schema::Made {
            self.made.get_or_try_init(|| self.migrate()).await?;
        }
        let Record { event_id, event_at, state, data, accepted_at, started_at, ended_at } = record;
        let query = sqlx::query(UPSERT)
            .persistent(false)
            .bind(&data.job)
            .bind(data.generation)
            .bind(&data.tenant)
            .bind(&data.priority)
            .bind(state)
            .bind(&data.source.url)
            .bind(data.source.bytes)
            .bind(&data.source.version)
            .bind(&data.trigger)
            .bind(&data.pipeline)
            .bind(&data.outputs)
            .bind(accepted_at)
            .bind(started_at)
            .bind(ended_at)
            .bind(data.cost.cpu_ms)
            .bind(&data.fault)
            .bind(&data.reason)
            .bind(event_id)
            .bind(event_at);
        query.execute(&self.pool).await.map(drop)
    }

    async fn migrate(&self) -> Result<(), sqlx::Error> {
        let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
            Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, (*sql).into_sql_str(), false)
        });
        let mut migrator = Migrator { migrations: Cow::Owned(migrations.collect()), ..Migrator::DEFAULT };
        // A younger build may have been here.
        migrator.set_ignore_missing(true);
        migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
        migrator.run(&self.pool).await.map_err(|error| sqlx::Error::Migrate(Box::new(error)))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// A row that the table does not take, it never takes. All else may be mended or passes.
fn judge(error: &sqlx::Error) -> Answer {
    const ROW_REFUSED: [&str; 2] = ["22", "23"];
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    let why = match &*code {
        "42P01" => format!("{error}: set migrate = true, or apply steps/migrations"),
        _ => error.to_string(),
    };
    if ROW_REFUSED.iter().any(|class| code.starts_with(class)) { Answer::Never { why } } else { again(why) }
}

fn again(why: String) -> Answer {
    Answer::Again { why, not_before_ms: None }
}
