-- Roles and schema, before every migration. Idempotent. What the connected user may not create must exist already;
-- the error then names the statement an administrator has to run.
DO $$
DECLARE
    wanted text;
    mode text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    -- Several processes may come to a new database at once.
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('praetor bootstrap', 0));
    IF current_setting('server_version_num')::int < 150000 THEN
        RAISE EXCEPTION 'PostgreSQL 15 or newer is needed' USING ERRCODE = 'feature_not_supported';
    END IF;
    FOREACH wanted IN ARRAY ARRAY['praetor_owner', 'praetor_app'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was faster
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'role % does not exist and % may not create it: have an administrator run CREATE ROLE % NOLOGIN',
                        wanted, current_user, wanted USING ERRCODE = 'insufficient_privilege';
            END;
        END IF;
        IF NOT pg_catalog.pg_has_role(current_user, wanted, mode) THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I', wanted, current_user);
            EXCEPTION WHEN insufficient_privilege THEN
                -- Only the owner is needed to migrate; whoever runs praetor needs the other.
                IF wanted = 'praetor_owner' THEN
                    RAISE EXCEPTION '% may not act as %: have an administrator run GRANT % TO %',
                        current_user, wanted, wanted, current_user USING ERRCODE = 'insufficient_privilege';
                END IF;
            END;
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'praetor') THEN
        CREATE SCHEMA praetor AUTHORIZATION praetor_owner;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'praetor_jobs') THEN
        CREATE SCHEMA praetor_jobs AUTHORIZATION praetor_owner;
    END IF;
END
$$;
