DROP TABLE praetor.webhook_deliveries, praetor.webhook_revocations, praetor.webhook_secrets, praetor.webhooks;
