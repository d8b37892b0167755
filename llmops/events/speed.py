"""How fast one request is answered that has the server to itself: measured at the start, and by the requests since."""

from __future__ import annotations

from typing import NamedTuple

SUITE = "speed"
"""The suite of the benchmark that tells it."""


class StreamSpeed(NamedTuple):
    """Tokens a second of one answer, and of the reading of its prompt; None: not known."""

    output_tokens_per_s: float | None = None
    input_tokens_per_s: float | None = None

    def duration_s(self, input_tokens: int, output_tokens: int) -> float | None:
        """How long a request of this length takes at least; None while the speed of writing is not known."""
        if self.output_tokens_per_s is None:
            return None
        return self.prompt_s(input_tokens) + output_tokens / self.output_tokens_per_s

    def prompt_s(self, input_tokens: int) -> float:
        """How long a prompt of this length takes to read; 0 while that is not known."""
        return input_tokens / self.input_tokens_per_s if self.input_tokens_per_s else 0.0

    def sentence(self) -> str:
        """For a log line: `expected 14 tokens/s for one answer, 210 tokens/s of prompt`."""
        if self.output_tokens_per_s is None:
            return "the speed of one answer is not known yet"
        told = f"expected {tokens(self.output_tokens_per_s)} tokens/s for one answer"
        if self.input_tokens_per_s is None:
            return told
        return f"{told}, {tokens(self.input_tokens_per_s)} tokens/s of prompt"


def tokens(per_s: float) -> str:
    """Two digits of what is below 10, none after the point above."""
    return f"{per_s:.2g}" if per_s < 10 else f"{per_s:,.0f}"
