-- The keys that personal data is encrypted with: one a subject, random, wrapped by the master key, which is not in the
-- database. The subject '' is the tenant itself, for records about nobody.
--
-- This is the one table whose rows may go: destroying a key erases all that was encrypted with it.
CREATE TABLE praetor.subject_keys (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL REFERENCES praetor.tenants,
    subject text NOT NULL,
    wrapped bytea NOT NULL,
    master text NOT NULL CHECK (master <> ''),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, subject)
);
SELECT praetor.isolate('praetor.subject_keys');
GRANT SELECT, INSERT (tenant, subject, wrapped, master) ON praetor.subject_keys TO praetor_app;

-- Which keys were destroyed, by the record that says why.
CREATE TABLE praetor.erasures (
    key_id bigint PRIMARY KEY,
    tenant text NOT NULL,
    record_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Legal holds: a key under hold cannot be destroyed, nor a month with records under it set aside. Why they were placed
-- and released is told by records of kind `access` with the same ids.
CREATE TABLE praetor.holds (
    id text PRIMARY KEY CHECK (id LIKE 'hold\_%'),
    tenant text NOT NULL,
    key_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX holds_key ON praetor.holds (key_id);
CREATE TABLE praetor.hold_releases (
    hold_id text PRIMARY KEY REFERENCES praetor.holds,
    tenant text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
SELECT praetor.append_only(t), praetor.isolate(t)
    FROM unnest(ARRAY['praetor.erasures', 'praetor.holds', 'praetor.hold_releases']::regclass[]) AS t;
GRANT SELECT ON praetor.erasures TO praetor_app;
GRANT SELECT, INSERT (id, tenant, key_id) ON praetor.holds TO praetor_app;
GRANT SELECT, INSERT (hold_id, tenant) ON praetor.hold_releases TO praetor_app;

CREATE FUNCTION praetor.held(key bigint) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog
AS $$
    SELECT EXISTS (SELECT FROM praetor.holds h WHERE h.key_id = key
                   AND NOT EXISTS (SELECT FROM praetor.hold_releases r WHERE r.hold_id = h.id))
$$;

-- A key changes in one way, being wrapped anew, and goes in one way: after its erasure is recorded, and not under hold.
-- Whoever tries.
CREATE FUNCTION praetor.guard_key() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.id, NEW.tenant, NEW.subject, NEW.created_at)
                          = (OLD.id, OLD.tenant, OLD.subject, OLD.created_at) THEN
        RETURN NEW;
    ELSIF TG_OP = 'DELETE' AND NOT praetor.held(OLD.id)
          AND EXISTS (SELECT FROM praetor.erasures e WHERE e.key_id = OLD.id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'praetor.% are kept: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON praetor.subject_keys
    FOR EACH ROW EXECUTE FUNCTION praetor.guard_key();
CREATE TRIGGER append_only BEFORE TRUNCATE ON praetor.subject_keys
    FOR EACH STATEMENT EXECUTE FUNCTION praetor.refuse_change();
ALTER TABLE praetor.subject_keys ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER append_only;

-- Destroys a subject's key. The record of the erasure has been written by the same transaction.
CREATE FUNCTION praetor.erase_subject(key bigint, erasure text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
DECLARE
    whose text := current_setting('praetor.tenant', true);
BEGIN
    -- Writers hold this lock shared: none may still be writing with the key.
    PERFORM pg_advisory_xact_lock(hashtextextended('praetor keys of ' || whose, 0));
    IF NOT EXISTS (SELECT FROM praetor.subject_keys k WHERE k.id = key AND k.subject <> '') THEN
        RAISE EXCEPTION 'there is no such key' USING ERRCODE = 'no_data_found';
    END IF;
    IF praetor.held(key) THEN
        RAISE EXCEPTION 'the subject is under legal hold' USING ERRCODE = 'object_in_use';
    END IF;
    IF NOT EXISTS (SELECT FROM praetor.leaves l WHERE l.kind = 'erasure' AND l.record_id = erasure
                   AND l.xid = pg_current_xact_id()) THEN
        RAISE EXCEPTION 'the erasure is not recorded' USING ERRCODE = 'restrict_violation';
    END IF;
    INSERT INTO praetor.erasures (key_id, tenant, record_id) VALUES (key, whose, erasure);
    DELETE FROM praetor.subject_keys k WHERE k.id = key;
END
$$;
REVOKE ALL ON FUNCTION praetor.guard_key(), praetor.held(bigint), praetor.erase_subject(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION praetor.held(bigint), praetor.erase_subject(bigint, text) TO praetor_app;
