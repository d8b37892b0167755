"""The state directory: how its files are opened, read, replaced and locked, and what makes it unsafe."""
