"""Opinions: what an organization published, compiled to be asked. Pure: no clock, no I/O."""
