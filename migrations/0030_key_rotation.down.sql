CREATE OR REPLACE FUNCTION praetor.find_api_key(wanted text)
RETURNS TABLE (tenant text, role text, secret_sha256 bytea, expires_at timestamptz, revoked boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
AS $$
    SELECT k.tenant, k.role, k.secret_sha256, k.expires_at, r.key_id IS NOT NULL
    FROM praetor.api_keys k LEFT JOIN praetor.api_key_revocations r USING (key_id)
    WHERE k.key_id = wanted
$$;
DROP TABLE praetor.api_key_rotations;
