DROP TABLE praetor.tenants;
