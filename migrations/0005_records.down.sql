DROP TABLE praetor.records, praetor.rejections, praetor.rejection_keys, praetor.cases,
           praetor.case_keys, praetor.traces, praetor.decisions;
