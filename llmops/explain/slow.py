"""Slow answers: is it the queue, the prompt, or the writing; and what of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from llmops.events.speed import tokens
from llmops.explain.contract import Asked, Cause, Explanation, Record, Turn, ids, median, share

LATE = "timeout"
"""A request whose deadline came first is slow, whatever it is called."""
Phases: TypeAlias = dict[str, float]
MOST, MUCH = 0.5, 0.25
"""Share of the slow requests' time that makes a phase the cause; or one among several."""
_SLOWER = 1.3
"""A pace is worse than usual when it takes so many times as long a token."""
_BUSY = 2.0
"""The same against an answer that has the server to itself: those beside it make it slower too."""
_HELD_BACK = 0.1


def explain_slow(record: Record) -> Explanation:
    """Answers beyond the limits of the objectives, their time laid out in phases."""
    answered = [each for each in record.requests if each.outcome == "success" or each.error_type == LATE]
    slow = [
        each
        for each in answered
        if each.error_type == LATE
        or each.duration_s > record.latency_limit_s
        or (each.ttft_s or 0.0) > record.ttft_limit_s
    ]
    limits = f"{record.latency_limit_s:g} s, or {record.ttft_limit_s:g} s to the first token"
    if not slow:
        return Explanation(
            topic="slow",
            is_there=False,
            summary=f"None of {len(answered)} answers took longer than {limits}.",
            would_show=(
                "what is slow for your users: set objectives.latency_threshold_s and objectives.ttft_threshold_s to it",
                "time on the way: it ends where serve begins; compare with what a client measures (`llmops bench`)",
            ),
        )
    late = sum(each.error_type == LATE for each in slow)
    summary = f"{share(len(slow), len(answered))} answers took longer than {limits}"
    summary += f", {late} of them longer than their deadline." if late else "."
    phases, measured_s = _phases(slow)
    if not measured_s:
        return Explanation(
            topic="slow",
            is_there=True,
            summary=f"{summary} The record has no phases of them.",
            causes=(),
            would_show=("requests with queue, prefill and decode times: those of the engines of llmops have them",),
        )
    rest = [each for each in answered if each not in set(slow)]
    makers = {"queue": _queue, "prefill": _prefill, "decode": _decode}
    ranked = sorted(phases.items(), key=lambda each: -each[1])
    large = [name for name, part in ranked if part >= MUCH and name in makers]
    causes = tuple(
        cause
        for name in large
        for cause in makers[name](record, slow, rest, f"{name}: {_laid_out(phases)}", phases[name])
    )
    if phases["elsewhere"] >= MUCH:
        causes = (*causes, _elsewhere(slow, phases))
    return Explanation(topic="slow", is_there=True, summary=summary, causes=causes)


def _phases(slow: list[Asked]) -> tuple[Phases, float]:
    """Shares of all their time; `elsewhere` is what no phase has: the client that reads, the work around the model."""
    known = [
        each for each in slow if each.queue_s is not None and each.prefill_s is not None and each.decode_s is not None
    ]
    total = sum(each.duration_s for each in known)
    if not total:
        return {}, 0.0
    shares = {
        "queue": sum(each.queue_s or 0.0 for each in known) / total,
        "prefill": sum(each.prefill_s or 0.0 for each in known) / total,
        "decode": sum(each.decode_s or 0.0 for each in known) / total,
    }
    return shares | {"elsewhere": max(0.0, 1.0 - sum(shares.values()))}, total


def _laid_out(phases: Phases) -> str:
    return ", ".join(f"{name} {100 * part:.0f} %" for name, part in phases.items()) + " of the slow requests' time"


def _queue(record: Record, slow: list[Asked], rest: list[Asked], told: str, part: float) -> Iterator[Cause]:
    worst = sorted(slow, key=lambda each: -(each.queue_s or 0.0))
    inside_s = sum(each.engine_queue_s or 0.0 for each in slow)
    if inside_s > MOST * sum(each.queue_s or 0.0 for each in slow):
        yield _prompts_of_others(record, worst, told)
        return
    batch = median([float(each.batch_size) for each in slow if each.batch_size is not None])
    yield Cause(
        name="queue",
        standing="shown",
        says="They wait for their turn." if part >= MOST else "A good part of it is waiting for their turn.",
        evidence=(
            told,
            f"longest wait {worst[0].queue_s or 0.0:.2f} s",
            f"{'not known how many' if batch is None else f'{batch:.0f}'} ran at once (median); "
            f"engine.max_running is {record.max_running}",
        ),
        turns=(
            Turn(dial="engine.max_running", to="more, while memory lasts: `llmops explain oom` says whether it does"),
            Turn(dial="admission.user_share", to="less, where one user fills the slots: `llmops slo report` says who"),
            Turn(dial="admission.queue_size", to="less, if an early no is better than a late answer"),
        ),
        requests=_of(worst),
    )


def _prompts_of_others(record: Record, worst: list[Asked], told: str) -> Cause:
    """They run, and wait inside the engine: more of them at once, or fewer, would change nothing."""
    longest = max(record.requests, key=lambda each: (each.input_tokens or 0) - (each.cached_tokens or 0))
    read_tokens = (longest.input_tokens or 0) - (longest.cached_tokens or 0)
    return Cause(
        name="queue",
        standing="shown",
        says="They wait in the engine while it reads the long prompts of others.",
        evidence=(
            told,
            f"longest wait in the engine {max(each.engine_queue_s or 0.0 for each in worst):.2f} s",
            f"the longest prompt that was read had {read_tokens} tokens that no cache had ({longest.request_id})",
        ),
        turns=(
            Turn(dial="the long prompts", to="what stays the same at their beginning, so that the cache has it"),
            Turn(dial="engine.max_model_len", to="less, if such prompts need not be"),
            Turn(dial="engine.max_batch_tokens", to="less on a GPU: prompts are then read in smaller parts"),
        ),
        requests=_of(worst),
    )


def _prefill(record: Record, slow: list[Asked], rest: list[Asked], told: str, part: float) -> Iterator[Cause]:
    worst = sorted(slow, key=lambda each: -(each.prefill_s or 0.0))
    long, usual = (
        median([float(each.input_tokens) for each in group if each.input_tokens is not None]) for group in (slow, rest)
    )
    cached = sum(each.cached_tokens or 0 for each in slow)
    read = sum(each.input_tokens or 0 for each in slow)
    compared = "" if usual is None else f", of the others {usual:.0f}"
    yield Cause(
        name="prefill",
        standing="shown",
        says="Reading the prompt takes most of it." if part >= MOST else "Reading the prompt takes a good part of it.",
        evidence=(
            told,
            f"their prompts have {'unknown' if long is None else f'{long:.0f}'} tokens (median){compared}",
            f"{share(cached, read)} of their prompt tokens came from the cache",
        ),
        turns=(
            Turn(dial="engine.max_model_len", to="less, if such prompts need not be"),
            Turn(dial="the prompt", to="what stays the same at its beginning, so that the cache has it"),
            Turn(dial="engine.attention", to="auto, with flash-attn installed, on a GPU"),
        ),
        requests=_of(worst),
    )


def _decode(record: Record, slow: list[Asked], rest: list[Asked], told: str, part: float) -> Iterator[Cause]:
    pace, usual = (median([each.tpot_s for each in group if each.tpot_s is not None]) for group in (slow, rest))
    length, other = (
        median([float(each.output_tokens) for each in group if each.output_tokens]) for group in (slow, rest)
    )
    evidence = [told]
    if length is not None:
        evidence.append(
            f"their answers have {length:.0f} tokens (median)" + ("" if other is None else f", the others' {other:.0f}")
        )
    if pace is not None:
        evidence.append(
            f"{1000 * pace:.0f} ms a token" + ("" if usual is None else f", the others {1000 * usual:.0f} ms")
        )
    held = [each for each in record.cards if each.throttled > _HELD_BACK]
    evidence += [f"{each.name} was held back in {100 * each.throttled:.0f} % of its samples" for each in held]
    is_long = length is not None and other is not None and length > _SLOWER * other
    is_slow = pace is not None and usual is not None and pace > _SLOWER * usual
    alone_s = None if length is None else record.speed.duration_s(0, int(length))
    if alone_s is not None and length is not None:
        evidence.append(f"an answer of {length:.0f} tokens that has the server to itself takes {alone_s:.1f} s")
        is_long = is_long or alone_s > record.latency_limit_s
        is_slow = pace is not None and pace > _BUSY / (record.speed.output_tokens_per_s or 1.0)
    shorter: tuple[Turn, ...] = (
        Turn(dial="max_tokens", to="less in the request; admission.default_max_tokens where it names none"),
    )
    if alone_s is not None and alone_s > record.latency_limit_s:
        told_s = f"{2 * alone_s:.2g}, under [objectives] in llmops.toml: no setting makes such answers faster here"
        shorter += (Turn(dial="objectives.latency_threshold_s", to=told_s),)
    quicker = (
        Turn(dial="engine.max_running", to="less: each answer is then quicker, and more wait"),
        Turn(dial="engine.compile", to="true for a single stream (kind transformers-sequential), on a GPU"),
    )
    cooler = (
        (Turn(dial="llmops doctor", to="then cooling and power limit of the card that is held back"),) if held else ()
    )
    says = "Writing takes most of it" if part >= MOST else "Writing takes a good part of it"
    why = {
        (True, True): "long answers, and slower than usual",
        (True, False): "long answers" if alone_s is None else f"the answers are long, and {_writes(record)}",
        (False, True): "slower than usual",
    }
    yield Cause(
        name="decode",
        standing="shown",
        says=f"{says}: {why.get((is_long, is_slow), 'neither length nor pace stands out from the other answers')}.",
        evidence=tuple(evidence),
        turns=(*cooler, *(shorter if is_long or not is_slow else ()), *(quicker if is_slow or not is_long else ())),
        requests=_of(sorted(slow, key=lambda each: -(each.decode_s or 0.0))),
    )


def _writes(record: Record) -> str:
    return f"this machine writes {tokens(record.speed.output_tokens_per_s or 0.0)} tokens/s"


def _elsewhere(slow: list[Asked], phases: Phases) -> Cause:
    return Cause(
        name="elsewhere",
        standing="fits",
        says="Much of it is in no phase of the engine: a client that reads slowly, or a machine with other work.",
        evidence=(_laid_out(phases),),
        turns=(
            Turn(dial="llmops requests show ID", to="its phases; compare with processor and memory of that minute"),
        ),
        requests=ids(slow),
    )


def _of(worst: list[Asked]) -> tuple[str, ...]:
    return tuple(each.request_id for each in worst[:5])
