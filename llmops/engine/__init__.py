"""Tokens out: everything that can turn a prompt into text, behind one contract."""
