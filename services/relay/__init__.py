"""The relay: what was recorded and what changed, published to NATS JetStream (audit.md 7).

NATS distributes; the log is the record. So the relay only reads, keeps no place of its own, and may run twice.
"""
