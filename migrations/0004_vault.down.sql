DROP FUNCTION praetor.erase_subject(bigint, text);
DROP TABLE praetor.hold_releases, praetor.holds, praetor.erasures, praetor.subject_keys;
DROP FUNCTION praetor.guard_key(), praetor.held(bigint);
