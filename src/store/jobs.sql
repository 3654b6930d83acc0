-- What the runtime role needs of the job queue, given anew after each migration of it. The library switches row-level
-- security on without a policy; jobs belong to no tenant, they name one.
GRANT USAGE ON SCHEMA praetor_jobs TO praetor_app;
GRANT SELECT ON praetor_jobs.migrations TO praetor_app;
GRANT SELECT, INSERT ON praetor_jobs._private_tasks TO praetor_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON praetor_jobs._private_jobs, praetor_jobs._private_job_queues,
    praetor_jobs._private_workers, praetor_jobs._private_job_retirements TO praetor_app;
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['_private_tasks', '_private_jobs', '_private_job_queues', '_private_workers', '_private_job_retirements'] LOOP
        EXECUTE format('DROP POLICY IF EXISTS app ON praetor_jobs.%I', t);
        EXECUTE format('CREATE POLICY app ON praetor_jobs.%I TO praetor_app USING (true) WITH CHECK (true)', t);
    END LOOP;
END
$$;
