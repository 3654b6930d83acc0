DROP TABLE praetor.cosignatures, praetor.checkpoints, praetor.log_nodes, praetor.log_entries, praetor.leaves;
