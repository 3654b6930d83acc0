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

REVOKE ALL ON FUNCTION praetor.refuse_change() FROM PUBLIC;
REVOKE ALL ON SCHEMA praetor FROM PUBLIC;
GRANT USAGE ON SCHEMA praetor TO praetor_app;
GRANT SELECT ON praetor.migrations TO praetor_app;
