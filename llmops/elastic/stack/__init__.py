"""The whole stack in containers: its secrets, what this machine must have for it, and the compose file that runs it."""
