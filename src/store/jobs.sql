-- What the runtime role needs of the job queue's tables, given once each. The library switches row-level security on without
-- a policy; jobs belong to no tenant, they name one.
DO $$
DECLARE
    t record;
BEGIN
    FOR t IN VALUES ('_private_tasks', 'SELECT, INSERT'), ('_private_jobs', 'SELECT, INSERT, UPDATE, DELETE'),
                    ('_private_job_queues', 'SELECT, INSERT, UPDATE'), ('_private_workers', 'SELECT, INSERT, UPDATE, DELETE'),
                    ('_private_job_retirements', 'SELECT, INSERT, DELETE') LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_policies WHERE schemaname = 'praetor_jobs' AND tablename = t.column1
                       AND policyname = 'app') THEN
            EXECUTE format('GRANT %s ON praetor_jobs.%I TO praetor_app', t.column2, t.column1);
            EXECUTE format('CREATE POLICY app ON praetor_jobs.%I TO praetor_app USING (true) WITH CHECK (true)', t.column1);
        END IF;
    END LOOP;
END
$$;
