-- One row for each job, as its youngest event tells of it. Times are those of the fleet's store.
CREATE TABLE IF NOT EXISTS framefleet_jobs (
    id             text PRIMARY KEY,
    generation     integer NOT NULL,
    tenant         text NOT NULL,
    priority       text NOT NULL,
    -- completed, failed or cancelled
    state          text NOT NULL,
    source_url     text NOT NULL,
    source_bytes   bigint NOT NULL,
    source_version text NOT NULL,
    trigger_name   text,
    pipeline       text,
    -- as docs/EVENTS.md has them
    outputs        jsonb NOT NULL,
    accepted_at    timestamptz NOT NULL,
    started_at     timestamptz,
    ended_at       timestamptz NOT NULL,
    cpu_ms         bigint NOT NULL,
    fault          jsonb,
    reason         text,
    event_id       text NOT NULL,
    event_at       timestamptz NOT NULL
);

CREATE INDEX IF NOT EXISTS framefleet_jobs_ended_at ON framefleet_jobs (ended_at);
CREATE INDEX IF NOT EXISTS framefleet_jobs_source_url ON framefleet_jobs (source_url);
