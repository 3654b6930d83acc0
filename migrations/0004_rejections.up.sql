-- Inputs that are no case file: where they came from, what is wrong with them, and their bytes packed with zstd.
CREATE TABLE praetor.rejections (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    input_sha256 bytea NOT NULL CHECK (octet_length(input_sha256) = 32),
    source text NOT NULL,
    line bigint NOT NULL CHECK (line > 0),
    errors jsonb NOT NULL,
    packed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (source, line, input_sha256)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON praetor.rejections
    FOR EACH STATEMENT EXECUTE FUNCTION praetor.refuse_change();
ALTER TABLE praetor.rejections ENABLE ALWAYS TRIGGER append_only;

GRANT SELECT, INSERT ON praetor.rejections TO praetor_app;
