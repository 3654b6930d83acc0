-- Whose records these are. `*` as the transaction's tenant stands for all of them, here and among the ledger's leaves
-- alone: it is how the sequencer and the verification see what nobody's privacy depends on.
CREATE TABLE praetor.tenants (
    tenant text PRIMARY KEY CHECK (tenant ~ '^[a-z0-9_-]{1,64}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO praetor.tenants (tenant) VALUES ('default');
SELECT praetor.append_only('praetor.tenants'), praetor.isolate('praetor.tenants');
CREATE POLICY every_tenant ON praetor.tenants FOR SELECT USING (current_setting('praetor.tenant', true) = '*');
GRANT SELECT, INSERT (tenant) ON praetor.tenants TO praetor_app;
