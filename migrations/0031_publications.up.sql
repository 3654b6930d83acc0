-- Rule books on their way into force. A publication is a draft that was checked, with who made it; what becomes of it
-- is said by rows beside it. Each of these rows has a record with a leaf that is written in the same transaction.
CREATE TABLE praetor.publications (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    tenant text NOT NULL REFERENCES praetor.tenants,
    id text NOT NULL CHECK (id ~ '^pub_[0-9a-f]{32}$'),
    rulebook bytea NOT NULL REFERENCES praetor.artifacts,
    pack text NOT NULL CHECK (pack <> ''),
    note text CHECK (length(note) <= 500),
    maker text NOT NULL REFERENCES praetor.api_keys,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, id)
);

-- The steps, in their order: steps of one tenant are taken one after another, under a lock. A step `live` or `rollback` says
-- which book is in force from then on, and over which other it lies: what a rollback goes back to. Without a publication
-- it is the book that the tenant had before its first one.
CREATE TABLE praetor.publication_steps (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    step text NOT NULL CHECK (step IN ('shadow', 'live', 'rollback')),
    publication text,
    rulebook bytea NOT NULL REFERENCES praetor.artifacts,
    over bigint REFERENCES praetor.publication_steps,
    over_rulebook bytea REFERENCES praetor.artifacts,
    actor text NOT NULL REFERENCES praetor.api_keys,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant, publication) REFERENCES praetor.publications,
    CHECK (publication IS NOT NULL OR step = 'rollback'),
    CHECK (over IS NULL OR over_rulebook IS NOT NULL)
);
CREATE INDEX publication_steps_tenant ON praetor.publication_steps (tenant, seq);

-- What a draft in shadow would have made of new decisions.
CREATE TABLE praetor.shadow_cases (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    tenant text NOT NULL,
    publication text NOT NULL,
    decision_id text NOT NULL,
    remedy_differs boolean NOT NULL,
    outcome_differs boolean NOT NULL,
    change text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, publication, decision_id),
    FOREIGN KEY (tenant, publication) REFERENCES praetor.publications
);

SELECT praetor.append_only(t), praetor.isolate(t)
    FROM unnest(ARRAY['praetor.publications', 'praetor.publication_steps', 'praetor.shadow_cases']::regclass[]) AS t;
-- Every process of the service follows what is in force for all tenants: ids and hashes, no text.
CREATE POLICY every_tenant ON praetor.publication_steps FOR SELECT USING (current_setting('praetor.tenant', true) = '*');
GRANT SELECT, INSERT (tenant, id, rulebook, pack, note, maker) ON praetor.publications TO praetor_app;
GRANT SELECT, INSERT (tenant, step, publication, rulebook, over, over_rulebook, actor) ON praetor.publication_steps TO praetor_app;
GRANT SELECT, INSERT (tenant, publication, decision_id, remedy_differs, outcome_differs, change) ON praetor.shadow_cases TO praetor_app;
