DROP TABLE praetor.rulebooks;
