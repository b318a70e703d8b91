"""Finding changes of relationships in a process of its own, which the service of relationships starts and ends."""
