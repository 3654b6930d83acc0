-- A key that has a successor: it ends when its clients had the time to take the new one. Like a revocation it is a row
-- beside the key, which stays as it was written.
CREATE TABLE praetor.api_key_rotations (
    key_id text PRIMARY KEY REFERENCES praetor.api_keys,
    tenant text NOT NULL,
    successor text NOT NULL UNIQUE REFERENCES praetor.api_keys,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
SELECT praetor.append_only('praetor.api_key_rotations'), praetor.isolate('praetor.api_key_rotations');
GRANT SELECT, INSERT (key_id, tenant, successor, expires_at) ON praetor.api_key_rotations TO praetor_app;

CREATE POLICY lookup ON praetor.api_key_rotations FOR SELECT TO CURRENT_USER USING (true);
-- Of both ends, if a key has two, the earlier one holds: LEAST passes over NULL.
CREATE OR REPLACE FUNCTION praetor.find_api_key(wanted text)
RETURNS TABLE (tenant text, role text, secret_sha256 bytea, expires_at timestamptz, revoked boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
AS $$
    SELECT k.tenant, k.role, k.secret_sha256, LEAST(k.expires_at, t.expires_at), r.key_id IS NOT NULL
    FROM praetor.api_keys k LEFT JOIN praetor.api_key_revocations r USING (key_id)
    LEFT JOIN praetor.api_key_rotations t USING (key_id)
    WHERE k.key_id = wanted
$$;
