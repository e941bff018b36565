"""Slash commands, one a file. A command decides only; what is done leaves as messages."""
