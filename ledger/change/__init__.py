"""Changes of relationships (relationship.md 15): derived from the log, the same whenever they are derived."""
