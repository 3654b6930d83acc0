DROP FUNCTION praetor.count_reviews();
DROP VIEW praetor.review_queue;
DROP TABLE praetor.review_open, praetor.review_steps, praetor.review_tasks;
DROP FUNCTION praetor.open_reviews(), praetor.close_review();
