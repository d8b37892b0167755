"""What torch should have allocated at its peak, from what was computed: beside what it had, the ledger of a card."""

from __future__ import annotations

from typing import Any, cast

from llmops.engine.cache_plan import CachePlan
from llmops.fit.memory import COMPUTE_BYTES, need, step_bytes
from llmops.fit.model import Model
from llmops.fit.weights import Scheme

_SCHEMES = ("nf4", "nf4-double", "int8")


class PeakArithmetic:
    """Of a loaded model. The weights are as they were measured after loading, the rest is `llmops.fit`'s.

    config: the model's, as it is in its file. None comes back where it lacks the sizes.
    """

    def __init__(
        self, config: dict[str, Any], quantization: str | None, *, weights_bytes: int, compute_bytes: int
    ) -> None:
        self._model = Model(name="", config=config, source="", stored_bytes=weights_bytes)
        self._scheme = cast(Scheme, quantization if quantization in _SCHEMES else "none")
        self._weights_bytes = weights_bytes
        self._wider = compute_bytes / COMPUTE_BYTES
        self._is_known = self._has_sizes()

    def batched(self, plan: CachePlan, most_rows: int) -> int | None:
        """Steps over a cache that is laid out beforehand; most_rows: of the largest of them."""
        if not self._is_known:
            return None
        step = step_bytes(self._model, self._scheme, tokens=most_rows, answers=min(most_rows, plan.max_running))
        return self._weights_bytes + plan.held_bytes + int(self._wider * step)

    def alone(self, prompt: int, answer: int) -> int | None:
        """One generation whose cache grows with it."""
        if not self._is_known:
            return None
        needed = need(self._model, self._scheme, prompt=prompt, answer=answer)
        return self._weights_bytes + int(self._wider * (needed.torch - needed.weights))

    def _has_sizes(self) -> bool:
        try:
            step_bytes(self._model, self._scheme, tokens=1, answers=1)
        except (KeyError, ValueError, TypeError):
            return False
        return True
