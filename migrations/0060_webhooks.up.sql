-- Whom a tenant tells of what is recorded. Everything here is append-only, the cursor included: it is the last position
-- that was delivered.
--
-- `from_leaf` and `xid` are where a webhook begins: what was there before it is not told.
CREATE TABLE praetor.webhooks (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id text PRIMARY KEY CHECK (id ~ '^whk_[0-9a-f]{32}$'),
    tenant text NOT NULL REFERENCES praetor.tenants,
    url text NOT NULL CHECK (url <> '' AND length(url) <= 2048),
    events text[] NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 8),
    from_leaf bigint NOT NULL CHECK (from_leaf >= 0),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- What deliveries are signed with, sealed by the tenant's key. A new one joins the one before for a day, then stands alone.
CREATE TABLE praetor.webhook_secrets (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    webhook_id text NOT NULL REFERENCES praetor.webhooks,
    secret_id text NOT NULL UNIQUE,
    key_id bigint NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_secrets_of ON praetor.webhook_secrets (webhook_id, seq);
CREATE TABLE praetor.webhook_revocations (
    webhook_id text PRIMARY KEY REFERENCES praetor.webhooks,
    tenant text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Every attempt. `stream` and `position` say what was told: the leaf's place in the ledger, or a batch state's number.
CREATE TABLE praetor.webhook_deliveries (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    webhook_id text NOT NULL REFERENCES praetor.webhooks,
    stream text NOT NULL CHECK (stream IN ('ledger', 'batch', 'test')),
    position bigint NOT NULL CHECK (position >= 0),
    message_id text NOT NULL,
    event text NOT NULL,
    record_id text NOT NULL,
    delivered boolean NOT NULL,
    status smallint,
    problem text CHECK (length(problem) <= 200),
    took_ms integer NOT NULL CHECK (took_ms >= 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_deliveries_of ON praetor.webhook_deliveries (webhook_id, seq);
CREATE INDEX webhook_deliveries_done ON praetor.webhook_deliveries (webhook_id, stream, position) WHERE delivered;

SELECT praetor.append_only(t), praetor.isolate(t)
    FROM unnest(ARRAY['praetor.webhooks', 'praetor.webhook_secrets', 'praetor.webhook_revocations',
                      'praetor.webhook_deliveries']::regclass[]) AS t;
-- The dispatcher looks for webhooks over all tenants; what it tells and how it signs, it reads as each tenant.
CREATE POLICY every_tenant ON praetor.webhooks FOR SELECT USING (current_setting('praetor.tenant', true) = '*');
CREATE POLICY every_tenant ON praetor.webhook_revocations FOR SELECT USING (current_setting('praetor.tenant', true) = '*');
GRANT SELECT, INSERT (id, tenant, url, events, from_leaf, created_by) ON praetor.webhooks TO praetor_app;
GRANT SELECT, INSERT (tenant, webhook_id, secret_id, key_id, sealed) ON praetor.webhook_secrets TO praetor_app;
GRANT SELECT, INSERT (webhook_id, tenant) ON praetor.webhook_revocations TO praetor_app;
GRANT SELECT, INSERT (tenant, webhook_id, stream, position, message_id, event, record_id, delivered, status, problem, took_ms)
    ON praetor.webhook_deliveries TO praetor_app;
