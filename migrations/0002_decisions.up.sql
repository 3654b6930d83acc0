-- The case files, as canonical JSON (RFC 8785), packed with zstd, under the SHA-256 of the unpacked bytes.
CREATE TABLE praetor.cases (
    case_hash bytea PRIMARY KEY CHECK (octet_length(case_hash) = 32),
    ticket_id text NOT NULL CHECK (ticket_id <> ''),
    packed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The decisions. `body` is the whole decision in canonical JSON, kept unpacked so that a row proves itself; the other
-- columns repeat what is searched for. Money is in fen. `seq` orders rows of one transaction, which share a created_at.
CREATE TABLE praetor.decisions (
    id text PRIMARY KEY CHECK (id LIKE 'dec\_%' AND length(id) <= 80),
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    ticket_id text NOT NULL CHECK (ticket_id <> ''),
    case_hash bytea NOT NULL REFERENCES praetor.cases,
    outcome text NOT NULL CHECK (outcome IN ('auto', 'review', 'rejected_input')),
    sop_id text,
    sop_version integer CHECK (sop_version > 0),
    remedy_kind text,
    refund_fen bigint CHECK (refund_fen >= 0),
    compensation_fen bigint CHECK (compensation_fen >= 0),
    body bytea NOT NULL,
    body_sha256 bytea NOT NULL CHECK (body_sha256 = sha256(body)),
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((sop_id IS NULL) = (sop_version IS NULL))
);
CREATE INDEX decisions_ticket ON praetor.decisions (ticket_id, seq DESC);
CREATE INDEX decisions_case ON praetor.decisions (case_hash);

-- What led to each decision: canonical JSON packed with zstd, and the SHA-256 of the unpacked bytes.
CREATE TABLE praetor.traces (
    decision_id text PRIMARY KEY REFERENCES praetor.decisions,
    packed bytea NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON praetor.cases
    FOR EACH STATEMENT EXECUTE FUNCTION praetor.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON praetor.decisions
    FOR EACH STATEMENT EXECUTE FUNCTION praetor.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON praetor.traces
    FOR EACH STATEMENT EXECUTE FUNCTION praetor.refuse_change();
ALTER TABLE praetor.cases ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE praetor.decisions ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE praetor.traces ENABLE ALWAYS TRIGGER append_only;

GRANT SELECT, INSERT ON praetor.cases, praetor.decisions, praetor.traces TO praetor_app;
