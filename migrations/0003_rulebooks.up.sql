-- The compiled rule books that decisions pin, packed with zstd, under the hash of their canonical bytes.
CREATE TABLE praetor.rulebooks (
    hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    pack_id text NOT NULL CHECK (pack_id <> ''),
    packed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON praetor.rulebooks
    FOR EACH STATEMENT EXECUTE FUNCTION praetor.refuse_change();
ALTER TABLE praetor.rulebooks ENABLE ALWAYS TRIGGER append_only;

GRANT SELECT, INSERT ON praetor.rulebooks TO praetor_app;
