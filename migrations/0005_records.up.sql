-- `sealed` is text of a case or about one: zstd, then XChaCha20-Poly1305 under the key `key_id`, bound to table, tenant
-- and id. Searched for are only the columns beside it. The tables that grow are partitioned by the month (UTC) of
-- created_at. There is no default partition: a row without its month is refused, not swallowed.

-- The decisions. Money is in fen. `seq` is that of the leaf.
CREATE TABLE praetor.decisions (
    seq bigint NOT NULL,
    tenant text NOT NULL,
    id text NOT NULL CHECK (id LIKE 'dec\_%' AND length(id) <= 80),
    ticket_id text NOT NULL CHECK (ticket_id <> ''),
    case_hash bytea NOT NULL CHECK (octet_length(case_hash) = 32),
    key_id bigint NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('auto', 'review', 'rejected_input')),
    sop_id text,
    sop_version integer CHECK (sop_version > 0),
    remedy_kind text,
    refund_fen bigint CHECK (refund_fen >= 0),
    compensation_fen bigint CHECK (compensation_fen >= 0),
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((sop_id IS NULL) = (sop_version IS NULL)),
    PRIMARY KEY (seq, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX decisions_ticket ON praetor.decisions (tenant, ticket_id, seq);

-- What led to each decision.
CREATE TABLE praetor.traces (
    seq bigint NOT NULL,
    tenant text NOT NULL,
    decision_id text NOT NULL,
    key_id bigint NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (seq, created_at)
) PARTITION BY RANGE (created_at);

-- The case files. A case that is decided upon again is kept once a month and key, so that what a month's decisions
-- rest on goes with them; `case_keys` sees to that.
CREATE TABLE praetor.case_keys (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    tenant text NOT NULL,
    case_hash bytea NOT NULL CHECK (octet_length(case_hash) = 32),
    key_id bigint NOT NULL,
    month date NOT NULL DEFAULT date_trunc('month', now() AT TIME ZONE 'UTC'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, case_hash, key_id, month)
);
CREATE TABLE praetor.cases (
    seq bigint NOT NULL,
    tenant text NOT NULL,
    case_hash bytea NOT NULL,
    ticket_id text NOT NULL CHECK (ticket_id <> ''),
    key_id bigint NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (seq, created_at)
) PARTITION BY RANGE (created_at);

-- Inputs that are no case file: where they came from, and sealed what is wrong with them and their bytes.
CREATE TABLE praetor.rejection_keys (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    tenant text NOT NULL,
    source text NOT NULL,
    line bigint NOT NULL CHECK (line > 0),
    input_sha256 bytea NOT NULL CHECK (octet_length(input_sha256) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, source, line, input_sha256)
);
CREATE TABLE praetor.rejections (
    seq bigint NOT NULL,
    tenant text NOT NULL,
    key_id bigint NOT NULL,
    sealed bytea NOT NULL,
    sealed_errors bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (seq, created_at)
) PARTITION BY RANGE (created_at);

-- Whatever else has a leaf: reviews, appeals, publications, certificates, erasures, privileged actions.
CREATE TABLE praetor.records (
    seq bigint PRIMARY KEY,
    tenant text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    key_id bigint NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX records_kind ON praetor.records (tenant, kind, seq);

-- What is sealed cannot be packed any more: no time is lost in trying.
ALTER TABLE praetor.decisions ALTER sealed SET STORAGE EXTERNAL;
ALTER TABLE praetor.traces ALTER sealed SET STORAGE EXTERNAL;
ALTER TABLE praetor.cases ALTER sealed SET STORAGE EXTERNAL;
ALTER TABLE praetor.rejections ALTER sealed SET STORAGE EXTERNAL, ALTER sealed_errors SET STORAGE EXTERNAL;
ALTER TABLE praetor.records ALTER sealed SET STORAGE EXTERNAL;

SELECT praetor.append_only(t), praetor.isolate(t)
    FROM unnest(ARRAY['praetor.decisions', 'praetor.traces', 'praetor.case_keys', 'praetor.cases',
                      'praetor.rejection_keys', 'praetor.rejections', 'praetor.records']::regclass[]) AS t;

-- When a row was written is said by the database, never by who writes it.
GRANT SELECT ON praetor.decisions, praetor.traces, praetor.case_keys, praetor.cases, praetor.rejection_keys,
                praetor.rejections, praetor.records TO praetor_app;
GRANT INSERT (seq, tenant, id, ticket_id, case_hash, key_id, outcome, sop_id, sop_version, remedy_kind, refund_fen,
              compensation_fen, sealed) ON praetor.decisions TO praetor_app;
GRANT INSERT (seq, tenant, decision_id, key_id, sealed) ON praetor.traces TO praetor_app;
GRANT INSERT (tenant, case_hash, key_id) ON praetor.case_keys TO praetor_app;
GRANT INSERT (seq, tenant, case_hash, ticket_id, key_id, sealed) ON praetor.cases TO praetor_app;
GRANT INSERT (tenant, source, line, input_sha256) ON praetor.rejection_keys TO praetor_app;
GRANT INSERT (seq, tenant, key_id, sealed, sealed_errors) ON praetor.rejections TO praetor_app;
GRANT INSERT (seq, tenant, kind, id, key_id, sealed) ON praetor.records TO praetor_app;
