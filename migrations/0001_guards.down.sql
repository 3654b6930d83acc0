REVOKE SELECT ON praetor.migrations FROM praetor_app;
REVOKE USAGE ON SCHEMA praetor FROM praetor_app;
DROP FUNCTION praetor.isolate(regclass);
DROP FUNCTION praetor.append_only(regclass);
DROP FUNCTION praetor.refuse_change();
