-- Batches: backlogs of tickets that are handed in at once and decided by workers, chunk by chunk. An upload writes its
-- chunks first and its batch last, so that one which breaks off leaves no batch.
CREATE TABLE praetor.batches (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    tenant text NOT NULL REFERENCES praetor.tenants,
    id text NOT NULL CHECK (id ~ '^bat_[0-9a-f]{32}$'),
    name text CHECK (length(name) <= 100),
    -- As given: the time that every ticket of the batch is decided as of.
    as_of text,
    lines bigint NOT NULL CHECK (lines > 0),
    chunks integer NOT NULL CHECK (chunks > 0),
    -- The idempotency key, if there was one, and all that the batch was made of.
    key_sha256 bytea CHECK (octet_length(key_sha256) = 32),
    request_sha256 bytea NOT NULL CHECK (octet_length(request_sha256) = 32),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, key_sha256)
);

-- The tickets as handed in, sealed. No record: a row goes when its chunk is done or its batch has ended, for whatever was
-- in it is then kept as cases and rejections, each under its subject's key.
CREATE TABLE praetor.batch_inputs (
    tenant text NOT NULL REFERENCES praetor.tenants,
    batch_id text NOT NULL,
    number integer NOT NULL CHECK (number >= 0),
    first_line bigint NOT NULL CHECK (first_line > 0),
    key_id bigint NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, batch_id, number)
);
ALTER TABLE praetor.batch_inputs ALTER sealed SET STORAGE EXTERNAL;

-- The chunks that are done, written in the transaction that records their decisions: line by line the decision, or NULL for
-- a line that was refused (see rejections from `batch:ID`). One row a chunk, so one effective decision a line.
CREATE TABLE praetor.batch_chunks (
    tenant text NOT NULL,
    batch_id text NOT NULL,
    number integer NOT NULL CHECK (number >= 0),
    lines bigint[] NOT NULL,
    decision_ids text[] NOT NULL,
    auto integer NOT NULL CHECK (auto >= 0),
    review integer NOT NULL CHECK (review >= 0),
    rejected integer NOT NULL CHECK (rejected >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(lines) = cardinality(decision_ids) AND cardinality(lines) = auto + review + rejected),
    PRIMARY KEY (tenant, batch_id, number),
    FOREIGN KEY (tenant, batch_id) REFERENCES praetor.batches
);

-- What became of a batch: it is running once a worker has begun, and ends in one way.
CREATE TABLE praetor.batch_states (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    tenant text NOT NULL,
    batch_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'done', 'cancelled', 'failed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, batch_id, state),
    FOREIGN KEY (tenant, batch_id) REFERENCES praetor.batches
);
CREATE UNIQUE INDEX batch_states_end ON praetor.batch_states (tenant, batch_id) WHERE state <> 'running';

SELECT praetor.append_only(t) FROM unnest(ARRAY['praetor.batches', 'praetor.batch_chunks', 'praetor.batch_states']::regclass[]) AS t;
SELECT praetor.isolate(t) FROM unnest(ARRAY['praetor.batches', 'praetor.batch_inputs', 'praetor.batch_chunks',
                                            'praetor.batch_states']::regclass[]) AS t;
GRANT SELECT, INSERT (tenant, id, name, as_of, lines, chunks, key_sha256, request_sha256, created_by)
    ON praetor.batches TO praetor_app;
GRANT SELECT, INSERT (tenant, batch_id, number, first_line, key_id, sealed) ON praetor.batch_inputs TO praetor_app;
GRANT SELECT, INSERT (tenant, batch_id, number, lines, decision_ids, auto, review, rejected)
    ON praetor.batch_chunks TO praetor_app;
GRANT SELECT, INSERT (tenant, batch_id, state) ON praetor.batch_states TO praetor_app;

-- Removes inputs that nobody needs any more: of this batch, or (NULL) those of a day ago and older. Needed is what belongs to
-- a batch that goes on and has not done that chunk. Within the tenant of the transaction.
CREATE FUNCTION praetor.drop_batch_inputs(batch text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
    WITH gone AS (
        DELETE FROM praetor.batch_inputs i
        WHERE (i.batch_id = batch OR batch IS NULL AND i.created_at < now() - interval '1 day')
          AND (NOT EXISTS (SELECT FROM praetor.batches b WHERE b.id = i.batch_id)
               OR EXISTS (SELECT FROM praetor.batch_states s WHERE s.batch_id = i.batch_id AND s.state <> 'running')
               OR EXISTS (SELECT FROM praetor.batch_chunks c WHERE c.batch_id = i.batch_id AND c.number = i.number))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION praetor.drop_batch_inputs(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION praetor.drop_batch_inputs(text) TO praetor_app;

-- The job queue of graphile_worker, in a schema of its own, made by `bootstrap.sql`. The library brings its own migrations,
-- which `praetor db migrate` runs after ours; this table keeps count of them. Its tables hold ids alone and no records.
CREATE TABLE praetor_jobs.migrations (
    id int PRIMARY KEY,
    ts timestamptz NOT NULL DEFAULT now(),
    breaking boolean NOT NULL DEFAULT false
);
GRANT USAGE ON SCHEMA praetor_jobs TO praetor_app;
GRANT SELECT ON praetor_jobs.migrations TO praetor_app;
