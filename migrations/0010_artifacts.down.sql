DROP TABLE praetor.artifacts;
