"""What quantisation costs a model: perplexity, agreement with the unquantised weights, memory and speed."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops.engine.dials import EngineDials, Quantization

if TYPE_CHECKING:
    from llmops.engine.scoring import Reference, Scores

QUANTIZATIONS: tuple[Quantization, ...] = ("none", "nf4", "nf4-double", "int8")
_TEXTS = Path(__file__).parent / "text"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """One quantisation of a model. agreement and divergence are None for the unquantised one, which is the measure."""

    quantization: Quantization
    model: str
    version: str
    dtype: str
    perplexity: Mapping[str, float]
    agreement: float | None
    divergence: float | None
    weights_bytes: int
    tokens: int
    tokens_per_s: float

    def as_fields(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self) | {"perplexity": dict(self.perplexity)}


def measure_quality(
    model: str,
    dials: EngineDials,
    quantizations: Sequence[Quantization],
    *,
    texts: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Quality]:
    """The unquantised model first, then each of `quantizations`; one at a time is in memory. Raises EngineError.

    tell: called with one short line whenever there is news.
    """
    texts = shipped_texts() if texts is None else texts
    reference: Reference | None = None
    first: Quantization = "none"
    for quantization in dict.fromkeys((first, *quantizations)):
        asked = dataclasses.replace(dials, quantization=quantization)
        measured, choices = _measure(model, asked, texts, reference, tell)
        reference = reference or choices
        yield measured


def shipped_texts() -> dict[str, str]:
    """By language: about a thousand words each."""
    return {path.stem: path.read_text("utf-8") for path in sorted(_TEXTS.glob("*.txt"))}


def _measure(
    model: str, dials: EngineDials, texts: Mapping[str, str], reference: Reference | None, tell: Callable[[str], None]
) -> tuple[Quality, Reference]:
    from llmops.engine.loading import load
    from llmops.engine.progress import Progress
    from llmops.engine.scoring import score

    name = dials.quantization

    class Told(Progress):
        def at(self, done_bytes: int) -> None:
            super().at(done_bytes)
            tell(f"{name}: {self.sentence}")

    loaded = load(model, dials, Told())
    try:
        scores, choices = score(loaded, texts, reference, lambda share: tell(f"{name}: Scoring: {share:.0%}"))
        return _quality(name, model, loaded, scores), choices
    finally:
        del loaded
        gc.collect()


def _quality(quantization: Quantization, model: str, loaded: Any, scores: Scores) -> Quality:
    return Quality(
        quantization=quantization,
        model=model,
        version=loaded.version,
        dtype=loaded.dtype,
        perplexity=scores.perplexity,
        agreement=scores.agreement,
        divergence=scores.divergence,
        weights_bytes=scores.weights_bytes,
        tokens=scores.tokens,
        tokens_per_s=scores.tokens_per_s,
    )
