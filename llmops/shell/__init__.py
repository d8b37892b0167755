"""Verbs that print once and end: chat, status, bench, config."""
