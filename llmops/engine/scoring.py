"""How well a model predicts a text that it is shown, and how often it agrees with another version of itself."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from llmops.engine.loading import Loaded
from llmops.engine.prompting import encode
from llmops.engine.weighing import measured_bytes

WINDOW_TOKENS = 512
# Whole distributions are large where a vocabulary is: the divergence is taken at this many places of a text.
_DIVERGENCE_PLACES = 128

_PROMPT_TOKENS, _STEPS, _LEAST_STEPS, _STEPS_S = 64, 48, 8, 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """What another version chose at each place of each text, and some of its whole distributions."""

    choices: Mapping[str, torch.Tensor]
    distributions: Mapping[str, torch.Tensor]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """perplexity: of each text by name. agreement: share of places with the same first choice.

    divergence: mean of KL(reference || this) in nats. weights_bytes: after the last step.
    tokens_per_s: read at once, as a prompt is. generation_tokens_per_s: written one after another, by one
    answer; None where that cannot be measured.
    """

    perplexity: Mapping[str, float]
    tokens: int
    tokens_per_s: float
    generation_tokens_per_s: float | None
    weights_bytes: int
    agreement: float | None = None
    divergence: float | None = None


def score(
    loaded: Loaded, texts: Mapping[str, str], reference: Reference | None, tell: Callable[[float], None]
) -> tuple[Scores, Reference]:
    """Scores and what this version chose. tell: called with the share that is done after each window."""
    windows = {name: _windows(loaded, text) for name, text in texts.items()}
    steps = sum(len(each) for each in windows.values())
    counted = sum(len(ids) - 1 for each in windows.values() for ids in each)
    _warm_up(loaded, next(iter(windows.values()))[0])
    seen: dict[str, _Seen] = {}
    busy_s, done = 0.0, 0
    for name, each in windows.items():
        seen[name] = _Seen(places=sum(len(ids) - 1 for ids in each))
        for ids in each:
            started = time.perf_counter()
            logits = _logits(loaded, ids)
            busy_s += time.perf_counter() - started
            seen[name].add(logits, torch.tensor(ids[1:]))
            done += 1
            tell(done / steps)
    ours = Reference(
        {name: torch.cat(one.choices) for name, one in seen.items()},
        {name: torch.cat(one.distributions) for name, one in seen.items()},
    )
    scores = Scores(
        perplexity={name: math.exp(one.loss / max(1, one.places)) for name, one in seen.items()},
        tokens=counted,
        tokens_per_s=counted / busy_s,
        generation_tokens_per_s=_generation_speed(loaded, next(iter(windows.values()))[0]),
        weights_bytes=measured_bytes(loaded.model),
    )
    return (scores if reference is None else _compared(scores, ours, reference)), ours


@torch.inference_mode()
def _generation_speed(loaded: Loaded, ids: Sequence[int]) -> float | None:
    """Tokens a second of one answer, from the median step; None for a model without a cache that can be passed on."""
    given: Any = torch.tensor([ids[:_PROMPT_TOKENS]], device=loaded.model.device)
    cache: Any = None
    steps: list[float] = []
    began = time.perf_counter()
    while len(steps) < _STEPS and (len(steps) < _LEAST_STEPS or time.perf_counter() - began < _STEPS_S):
        started = time.perf_counter()
        output = loaded.model(given, past_key_values=cache, use_cache=True)
        given = output.logits[:, -1:].argmax(dim=-1)
        given.to("cpu")  # waits for the device
        if cache is not None:  # else it read the prompt
            steps.append(time.perf_counter() - started)
        cache = getattr(output, "past_key_values", None)
        if cache is None:
            return None
    return 1 / statistics.median(steps)


class _Seen:
    """What one text gave so far; every n-th distribution is kept."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.loss = 0.0
        self.choices: list[torch.Tensor] = []
        self.distributions: list[torch.Tensor] = []
        self._every = max(1, places // _DIVERGENCE_PLACES)
        self._place = 0

    def add(self, logits: torch.Tensor, targets: torch.Tensor) -> None:
        likely = torch.log_softmax(logits.float(), dim=-1)
        self.loss -= float(likely.gather(-1, targets[:, None]).sum())
        self.choices.append(likely.argmax(dim=-1))
        first = -self._place % self._every
        self.distributions.append(likely[first :: self._every].clone())
        self._place += len(targets)


def _compared(scores: Scores, ours: Reference, reference: Reference) -> Scores:
    same = [(ours.choices[name] == choices).float() for name, choices in reference.choices.items()]
    apart = [
        (theirs.exp() * (theirs - ours.distributions[name])).sum(dim=-1)
        for name, theirs in reference.distributions.items()
    ]
    return dataclasses.replace(
        scores, agreement=float(torch.cat(same).mean()), divergence=max(0.0, float(torch.cat(apart).mean()))
    )


def _windows(loaded: Loaded, text: str) -> list[list[int]]:
    """Each is read afresh; the first token of each is given and not counted."""
    ids = encode(loaded.tokenizer, text)
    longest = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None) or WINDOW_TOKENS
    size = min(WINDOW_TOKENS, longest)
    return [window for start in range(0, len(ids), size) if len(window := ids[start : start + size]) > 1]


def _warm_up(loaded: Loaded, ids: Sequence[int]) -> None:
    """The first step of quantised weights may repack them: that is not their speed."""
    _logits(loaded, ids[:16])


@torch.inference_mode()
def _logits(loaded: Loaded, ids: Sequence[int]) -> torch.Tensor:
    """Of all places but the last, on the CPU: waiting for them is part of the time."""
    given: Any = torch.tensor([ids], device=loaded.model.device)
    logits: torch.Tensor = loaded.model(given, use_cache=False).logits
    return logits[0, :-1].to("cpu").clone()
