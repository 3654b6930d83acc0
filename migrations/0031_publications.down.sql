DROP TABLE praetor.shadow_cases, praetor.publication_steps, praetor.publications;
