"""llmops: the ops stack for a self-hosted language-model bot, centred on observability."""

__version__ = "0.1.0"
