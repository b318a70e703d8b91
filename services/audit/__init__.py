"""AuditService: the log itself, replayed, followed and looked up (audit.md 2)."""
