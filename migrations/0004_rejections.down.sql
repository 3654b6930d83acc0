DROP TABLE praetor.rejections;
