"""RelationshipService and ProjectionService: relationships now and as of any moment, and the index that lists them."""
