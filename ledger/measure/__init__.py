"""Measures of a relationship (relationship.md): folded facts, a policy and an instant in; exact integers out."""
