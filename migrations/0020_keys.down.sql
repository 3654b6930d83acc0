DROP FUNCTION praetor.note_api_key_use(text);
DROP FUNCTION praetor.find_api_key(text);
DROP TABLE praetor.api_key_uses, praetor.answers, praetor.api_key_revocations, praetor.api_keys;
