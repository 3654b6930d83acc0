-- What decisions pin, under the SHA-256 of its bytes, packed with zstd: rule books and the files of models. Shared by all
-- tenants and about nobody. Kept as long as a decision may have to be made again.
CREATE TABLE praetor.artifacts (
    hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    kind text NOT NULL CHECK (kind <> ''),
    packed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
SELECT praetor.append_only('praetor.artifacts');
GRANT SELECT, INSERT (hash, kind, packed) ON praetor.artifacts TO praetor_app;
