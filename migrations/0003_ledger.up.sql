-- The ledger: one Merkle tree (RFC 6962) for all tenants. A record and its leaf are written in one transaction, which
-- leaves it pending; the sequencer later gives it its place.
--
-- `leaves` is also the index of records by id: it says that a record exists, when it was written (which partition holds
-- it) and under which key. `seq` orders records; `xid` orders transactions, so that the sequencer can tell the end of
-- what is settled: a transaction with a smaller id than any running one has written all it ever will.
CREATE TABLE praetor.leaves (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    tenant text NOT NULL,
    kind text NOT NULL CHECK (kind IN
        ('decision', 'review', 'appeal', 'sop_publication', 'certificate', 'erasure', 'access', 'key_rotation')),
    record_id text NOT NULL CHECK (record_id <> '' AND length(record_id) <= 128),
    key_id bigint NOT NULL,
    commitment bytea NOT NULL CHECK (octet_length(commitment) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant, kind, record_id)
);
CREATE INDEX leaves_order ON praetor.leaves (xid, seq);
SELECT praetor.append_only('praetor.leaves'), praetor.isolate('praetor.leaves');
CREATE POLICY every_tenant ON praetor.leaves FOR SELECT USING (current_setting('praetor.tenant', true) = '*');
GRANT SELECT, INSERT (tenant, kind, record_id, key_id, commitment) ON praetor.leaves TO praetor_app;

-- The tree's leaves in their places: which leaf, and its hash in the tree. The hashes of level 0 of the tiles.
CREATE TABLE praetor.log_entries (
    leaf_index bigint PRIMARY KEY CHECK (leaf_index >= 0),
    seq bigint NOT NULL UNIQUE,
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32)
);

-- The hashes of the tiles above: one for each full tile of the level below.
CREATE TABLE praetor.log_nodes (
    level smallint CHECK (level BETWEEN 1 AND 7),
    node_index bigint CHECK (node_index >= 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, node_index)
);

-- The tree after each batch: its size and root, the signed note, and up to where leaves are settled.
-- `system_id` is the cluster by whose counter: a restored dump meets another one, and then every leaf is looked at once.
CREATE TABLE praetor.checkpoints (
    size bigint PRIMARY KEY CHECK (size >= 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text NOT NULL,
    upto_xid xid8 NOT NULL,
    upto_seq bigint NOT NULL,
    system_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Signature lines that witnesses gave for a checkpoint.
CREATE TABLE praetor.cosignatures (
    size bigint NOT NULL REFERENCES praetor.checkpoints,
    line text NOT NULL CHECK (line <> ''),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (size, line)
);

SELECT praetor.append_only(t) FROM unnest(ARRAY['praetor.log_entries', 'praetor.log_nodes', 'praetor.checkpoints',
                                                'praetor.cosignatures']::regclass[]) AS t;
GRANT SELECT, INSERT ON praetor.log_entries, praetor.log_nodes TO praetor_app;
GRANT SELECT, INSERT (size, root, note, upto_xid, upto_seq, system_id) ON praetor.checkpoints TO praetor_app;
GRANT SELECT, INSERT (size, line) ON praetor.cosignatures TO praetor_app;
