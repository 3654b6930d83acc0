-- The keys of the HTTP service. Of a secret only its SHA-256 is kept: it is 256 random bits, which no dictionary holds.
CREATE TABLE praetor.api_keys (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    key_id text PRIMARY KEY CHECK (key_id ~ '^[0-9a-f]{12}$'),
    tenant text NOT NULL REFERENCES praetor.tenants,
    role text NOT NULL CHECK (role IN ('caller', 'operator', 'reviewer', 'auditor', 'editor', 'admin')),
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    name text CHECK (length(name) <= 100),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);
CREATE TABLE praetor.api_key_revocations (
    key_id text PRIMARY KEY REFERENCES praetor.api_keys,
    tenant text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Answers that were given under an idempotency key: a repeated request gets the same decision again.
CREATE TABLE praetor.answers (
    tenant text NOT NULL,
    key_sha256 bytea NOT NULL CHECK (octet_length(key_sha256) = 32),
    request_sha256 bytea NOT NULL CHECK (octet_length(request_sha256) = 32),
    decision_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key_sha256)
);
SELECT praetor.append_only(t), praetor.isolate(t)
    FROM unnest(ARRAY['praetor.api_keys', 'praetor.api_key_revocations', 'praetor.answers']::regclass[]) AS t;
GRANT SELECT, INSERT (key_id, tenant, role, secret_sha256, name, expires_at) ON praetor.api_keys TO praetor_app;
GRANT SELECT, INSERT (key_id, tenant) ON praetor.api_key_revocations TO praetor_app;
GRANT SELECT, INSERT (tenant, key_sha256, request_sha256, decision_id) ON praetor.answers TO praetor_app;

-- When a key was last used: a convenience for people, no record, and the one table here whose rows change.
CREATE TABLE praetor.api_key_uses (
    key_id text PRIMARY KEY REFERENCES praetor.api_keys,
    last_used_at timestamptz NOT NULL
);
GRANT SELECT ON praetor.api_key_uses TO praetor_app;

-- Whoever calls has no tenant yet: these two functions look a key up by its public part across tenants. They run as the
-- owner, who alone sees keys across tenants.
CREATE POLICY lookup ON praetor.api_keys FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY lookup ON praetor.api_key_revocations FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION praetor.find_api_key(wanted text)
RETURNS TABLE (tenant text, role text, secret_sha256 bytea, expires_at timestamptz, revoked boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
AS $$
    SELECT k.tenant, k.role, k.secret_sha256, k.expires_at, r.key_id IS NOT NULL
    FROM praetor.api_keys k LEFT JOIN praetor.api_key_revocations r USING (key_id)
    WHERE k.key_id = wanted
$$;
CREATE FUNCTION praetor.note_api_key_use(used text) RETURNS void
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
    INSERT INTO praetor.api_key_uses (key_id, last_used_at) VALUES (used, now())
    ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at
$$;
REVOKE ALL ON FUNCTION praetor.find_api_key(text), praetor.note_api_key_use(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION praetor.find_api_key(text), praetor.note_api_key_use(text) TO praetor_app;
