DROP TABLE praetor.retired_months;
DROP FUNCTION praetor.ensure_months();
DROP FUNCTION praetor.add_month(text, timestamptz);
