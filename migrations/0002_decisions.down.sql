DROP TABLE praetor.traces;
DROP TABLE praetor.decisions;
DROP TABLE praetor.cases;
