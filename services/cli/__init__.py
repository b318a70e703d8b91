"""The `rapport` command. It goes through `services.client` and can do nothing a user's program could not."""
