"""ContactService: may we contact them now, and why."""
