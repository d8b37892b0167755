"""Whole screens: overview, chat, help, one request."""
