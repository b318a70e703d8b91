"""Reports: what all relationships of an organization come to, as pure functions of a few rows of each."""
