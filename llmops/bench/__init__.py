"""The stack measures itself from outside, as any HTTP client would, and on a schedule."""
