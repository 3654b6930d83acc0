DROP SCHEMA praetor_jobs CASCADE;
DROP FUNCTION praetor.drop_batch_inputs(text);
DROP TABLE praetor.batch_states, praetor.batch_chunks, praetor.batch_inputs, praetor.batches;
