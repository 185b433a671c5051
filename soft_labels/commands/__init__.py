"""The commands: the only readers of configurations."""
