-- The months of the partitioned tables.

-- Makes the partition of a table for the month that begins at `first`, guarded like the table itself. The runtime role
-- gets no privilege on it: it goes through the table.
CREATE FUNCTION praetor.add_month(parent text, first timestamptz) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog SET timezone = 'UTC'
AS $$
DECLARE
    month text := format('praetor.%I', parent || to_char(first, '"_"YYYY"_"MM'));
BEGIN
    EXECUTE format('CREATE TABLE %s (LIKE praetor.%I INCLUDING ALL)', month, parent);
    PERFORM praetor.append_only(month::regclass), praetor.isolate(month::regclass);
    EXECUTE format('ALTER TABLE praetor.%I ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
                   parent, month, first, first + interval '1 month');
END
$$;

-- Makes this month's partitions and those of the two to come, where missing; returns how many it made. The runtime role
-- may call it, so that a service that runs for years never meets a month without one.
CREATE FUNCTION praetor.ensure_months() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog SET timezone = 'UTC'
AS $$
DECLARE
    parent text;
    first timestamptz;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('praetor months', 0));
    FOREACH parent IN ARRAY ARRAY['cases', 'decisions', 'traces', 'rejections'] LOOP
        FOR ahead IN 0..2 LOOP
            first := date_trunc('month', now()) + make_interval(months => ahead);
            IF to_regclass(format('praetor.%I', parent || to_char(first, '"_"YYYY"_"MM'))) IS NULL THEN
                PERFORM praetor.add_month(parent, first);
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION praetor.add_month(text, timestamptz), praetor.ensure_months() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION praetor.ensure_months() TO praetor_app;
SELECT praetor.ensure_months();

-- The months that were set aside when their time was over. Leaves of that time have no record any more, rightly.
CREATE TABLE praetor.retired_months (
    parent text NOT NULL,
    first timestamptz NOT NULL,
    until timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (parent, first)
);
SELECT praetor.append_only('praetor.retired_months');
GRANT SELECT ON praetor.retired_months TO praetor_app;
