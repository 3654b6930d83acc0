-- The review queue: what people are to look at, and what they did. Nothing here is personal: the words of a resolution or
-- an appeal are sealed in `records`. Money is in fen.

-- A task: a decision that waits for a person, an automatic one drawn for the audit, or an appeal. What orders it is fixed
-- when it is written; a lower priority comes first.
CREATE TABLE praetor.review_tasks (
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    tenant text NOT NULL,
    id text NOT NULL CHECK (length(id) <= 80),
    decision_id text NOT NULL,
    -- 0 for the decision's own task, from 1 for its appeals.
    nth smallint NOT NULL CHECK (nth >= 0),
    kind text NOT NULL CHECK (kind IN ('review', 'audit', 'appeal')),
    scene text NOT NULL,
    priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 100),
    amount_fen bigint NOT NULL CHECK (amount_fen >= 0),
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, decision_id, nth),
    CHECK ((kind = 'appeal') = (nth > 0))
);
CREATE INDEX review_tasks_order ON praetor.review_tasks (tenant, priority, due_at, seq);

-- What happened to a task, step by step. Whoever takes a step has seen the one before: the primary key lets one of
-- several through, so that a claim is exclusive and nobody resolves what he has lost. `state` is the task's after the
-- step, `given` counts the resolutions so far.
CREATE TABLE praetor.review_steps (
    tenant text NOT NULL,
    task_id text NOT NULL,
    step integer NOT NULL CHECK (step > 0),
    decision_id text NOT NULL,
    what text NOT NULL CHECK (what IN ('claimed', 'released', 'resolved')),
    state text NOT NULL CHECK (state IN ('open', 'claimed', 'resolved')),
    given smallint NOT NULL CHECK (given >= 0),
    -- The reviewer's key.
    key_id text NOT NULL,
    -- Until when a claim holds.
    until timestamptz,
    -- The resolution: its record, whether the proposal stands, the finding that was corrected first, and the remedy.
    record_id text,
    stands boolean,
    reason text,
    remedy_kind text,
    refund_fen bigint CHECK (refund_fen >= 0),
    compensation_fen bigint CHECK (compensation_fen >= 0),
    freight_by text,
    return_goods boolean,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, task_id, step),
    FOREIGN KEY (tenant, task_id) REFERENCES praetor.review_tasks,
    CHECK ((what = 'claimed') = (until IS NOT NULL)),
    CHECK ((what = 'claimed') = (state = 'claimed')),
    CHECK (state <> 'resolved' OR what = 'resolved'),
    CHECK ((what = 'resolved') = (num_nulls(record_id, stands, remedy_kind, refund_fen, compensation_fen, freight_by,
                                            return_goods) = 0)),
    CHECK (what = 'resolved' OR num_nonnulls(record_id, stands, reason, remedy_kind, refund_fen, compensation_fen,
                                             freight_by, return_goods) = 0)
);
CREATE UNIQUE INDEX review_steps_end ON praetor.review_steps (tenant, task_id) WHERE state = 'resolved';
CREATE INDEX review_steps_reviewer ON praetor.review_steps (tenant, decision_id, key_id) WHERE what = 'resolved';

SELECT praetor.append_only(t), praetor.isolate(t)
    FROM unnest(ARRAY['praetor.review_tasks', 'praetor.review_steps']::regclass[]) AS t;
GRANT SELECT, INSERT (tenant, id, decision_id, nth, kind, scene, priority, amount_fen, due_at)
    ON praetor.review_tasks TO praetor_app;
GRANT SELECT, INSERT (tenant, task_id, step, decision_id, what, state, given, key_id, until, record_id, stands, reason,
                      remedy_kind, refund_fen, compensation_fen, freight_by, return_goods)
    ON praetor.review_steps TO praetor_app;

-- Tasks as they stand now: a claim that is over leaves its task open.
CREATE VIEW praetor.review_queue WITH (security_invoker = true) AS
    SELECT t.seq, t.tenant, t.id, t.decision_id, t.nth, t.kind, t.scene, t.priority, t.amount_fen, t.due_at, t.created_at,
           coalesce(s.step, 0) AS step, coalesce(s.given, 0::smallint) AS given,
           CASE WHEN s.until <= now() THEN 'open' ELSE coalesce(s.state, 'open') END AS state,
           CASE WHEN s.until > now() THEN s.key_id END AS holder,
           CASE WHEN s.until > now() THEN s.until END AS held_until,
           CASE WHEN s.until > now() THEN s.created_at END AS held_since
    FROM praetor.review_tasks t
    LEFT JOIN LATERAL (
        SELECT * FROM praetor.review_steps s WHERE s.tenant = t.tenant AND s.task_id = t.id ORDER BY s.step DESC LIMIT 1
    ) s ON true;
GRANT SELECT ON praetor.review_queue TO praetor_app;

-- The tasks that are not resolved, in their order: what the two tables say, kept at hand so that the next task is found
-- as quickly after a million as after ten. No record, and so the rows of this table go; the triggers alone touch it.
CREATE TABLE praetor.review_open (
    tenant text NOT NULL,
    id text NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    priority smallint NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX review_open_order ON praetor.review_open (tenant, priority, due_at, seq);
SELECT praetor.isolate('praetor.review_open');
GRANT SELECT ON praetor.review_open TO praetor_app;
CREATE FUNCTION praetor.open_reviews() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
BEGIN
    INSERT INTO praetor.review_open (tenant, id, seq, kind, priority, due_at)
        SELECT tenant, id, seq, kind, priority, due_at FROM added;
    RETURN NULL;
END
$$;
CREATE FUNCTION praetor.close_review() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog
AS $$
BEGIN
    DELETE FROM praetor.review_open WHERE tenant = NEW.tenant AND id = NEW.task_id;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION praetor.open_reviews(), praetor.close_review() FROM PUBLIC;
CREATE TRIGGER opened AFTER INSERT ON praetor.review_tasks REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION praetor.open_reviews();
CREATE TRIGGER closed AFTER INSERT ON praetor.review_steps
    FOR EACH ROW WHEN (NEW.state = 'resolved') EXECUTE FUNCTION praetor.close_review();

-- How many tasks wait, over all tenants, for the metrics. It runs as the owner, who alone sees tasks across tenants.
CREATE POLICY counting ON praetor.review_open FOR SELECT TO CURRENT_USER USING (true);
CREATE FUNCTION praetor.count_reviews() RETURNS TABLE (kind text, open bigint, overdue bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
AS $$
    SELECT kind, count(*), count(*) FILTER (WHERE due_at < now()) FROM praetor.review_open GROUP BY kind
$$;
REVOKE ALL ON FUNCTION praetor.count_reviews() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION praetor.count_reviews() TO praetor_app;
