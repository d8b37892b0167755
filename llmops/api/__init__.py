"""HTTP in, tokens out: the OpenAI routes, health, metrics and the live feed."""
