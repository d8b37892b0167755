"""Makes the demo model that ships with llmops: its corpus, its tokenizer, its training and its examination."""
