"""The workflows, by name."""
