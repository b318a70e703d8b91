"""What the services share: settings, logs, errors, limits, metrics, health and the life of a process."""
