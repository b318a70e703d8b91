"""The contact decision: may we contact them now, and why (consent.md 6). Pure: time and states come in as arguments."""
