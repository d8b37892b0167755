"""Will a model fit a card, and how fast will it answer: arithmetic and two catalogues; numbers in, verdicts out."""
