"""The `faasight` command: the composition root."""
