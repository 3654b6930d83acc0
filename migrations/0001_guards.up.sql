-- What is recorded stays. The runtime role lacks the privilege to change or remove a row; this trigger function refuses
-- it to everybody else, owner and superuser included, whatever the session's replication role.
CREATE FUNCTION praetor.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
BEGIN
    RAISE EXCEPTION 'praetor.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;

-- Makes a table append-only. Every table of records, and every partition, is passed through it.
CREATE FUNCTION praetor.append_only(guarded regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s '
                   'FOR EACH STATEMENT EXECUTE FUNCTION praetor.refuse_change()', guarded);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', guarded);
END
$$;

-- Hides each tenant's rows from all others. Every table with a column `tenant` is passed through it. The tenant is that
-- of the transaction (SET LOCAL praetor.tenant); without one no row is seen and none can be written, by the owner neither.
CREATE FUNCTION praetor.isolate(guarded regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', guarded);
    EXECUTE format('CREATE POLICY tenant ON %s USING (tenant = current_setting(''praetor.tenant'', true)) '
                   'WITH CHECK (tenant = current_setting(''praetor.tenant'', true))', guarded);
END
$$;

REVOKE ALL ON FUNCTION praetor.refuse_change(), praetor.append_only(regclass), praetor.isolate(regclass) FROM PUBLIC;
REVOKE ALL ON SCHEMA praetor FROM PUBLIC;
GRANT USAGE ON SCHEMA praetor TO praetor_app;
GRANT SELECT ON praetor.migrations TO praetor_app;
