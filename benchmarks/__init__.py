"""Measurements of llmops itself: each prints ratios of two things measured in one run."""
