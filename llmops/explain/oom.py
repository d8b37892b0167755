"""Out of memory: is it the batch, the length, what others hold, what torch keeps, or the weights."""

from __future__ import annotations

from collections.abc import Iterator

from llmops.explain.contract import Asked, Cause, Explanation, Record, Turn, ids, median, share

SLUG = "oom"
GIB = 1 << 30
_TIMES = 1.5
"""A batch or a length stands out when its median at the failures is so many times that of the answers."""
_KEPT, _FOREIGN, _FULL = 0.2, 0.1, 0.9
"""Shares of a card: what torch keeps unfilled, what is not torch's, what is used on average."""
_MOST_FAILURES = 200
"""Of the newest failures each is held against all requests."""
_FEWEST = 20
"""Requests of which the least residual is taken."""
_CONTEXT_BYTES = GIB
"""Of a process on a card beside torch's allocator: the CUDA context takes 0.4 to 0.8 GiB."""


def explain_oom(record: Record) -> Explanation:
    """Requests that failed with `oom`, beside those that were answered."""
    failed = [each for each in record.requests if each.error_type == SLUG]
    total = len(record.requests)
    if not failed:
        return Explanation(
            topic="oom",
            is_there=False,
            summary=f"None of {total} requests failed with oom.",
            would_show=(
                "a request with error_type oom: llmops requests 'error=oom'",
                "a serve that the kernel killed leaves no event: `sudo dmesg | grep -i 'out of memory'`",
            ),
        )
    answered = [each for each in record.requests if each.outcome == "success"]
    causes = (*_batch(record, failed, answered), *_length(failed, answered), *_leak(record), *_held(record))
    summary = f"{share(len(failed), total)} requests failed for want of memory."
    if causes:
        return Explanation(topic="oom", is_there=True, summary=summary, causes=causes)
    return Explanation(
        topic="oom",
        is_there=True,
        summary=f"{summary} The record does not show why.",
        causes=(_open(record, failed),),
        would_show=(
            "answers of other lengths and batches to compare with",
            "samples of the GPU with torch_reserved and torch_allocated (gpu.kind = auto, on a machine with a GPU)",
        ),
    )


def _batch(record: Record, failed: list[Asked], answered: list[Asked]) -> Iterator[Cause]:
    at_failure = median([running_at(record.requests, each.at) for each in failed[:_MOST_FAILURES]])
    otherwise = median([float(each.batch_size) for each in answered if each.batch_size is not None])
    if at_failure is None or otherwise is None or at_failure < 2 or at_failure < _TIMES * otherwise:
        return
    yield Cause(
        name="batch",
        standing="shown",
        says="It happens when many answers are written at once.",
        evidence=(
            f"at the failures {at_failure:.0f} requests ran (median), at the answers {otherwise:.0f}",
            f"engine.max_running is {record.max_running}",
        ),
        turns=(
            Turn(
                dial="engine.max_running",
                to=f"{max(1, int(at_failure) - 1)} or less; {max(1, int(otherwise))} was answered",
            ),
            Turn(dial="engine.kv_cache_bytes", to="a bound: then requests wait for room instead of failing"),
        ),
        requests=ids(failed),
    )


def running_at(requests: tuple[Asked, ...], moment: float) -> float:
    """How many had their turn and no end at this moment, the one that ended then included."""
    return float(sum(1 for each in requests if each.began_at < moment <= each.at))


def _length(failed: list[Asked], answered: list[Asked]) -> Iterator[Cause]:
    long, usual = _lengths(failed), _lengths(answered)
    at_failure, otherwise = median(long), median(usual)
    if at_failure is None or otherwise is None or at_failure < _TIMES * otherwise:
        return
    longest = max(usual)
    yield Cause(
        name="context",
        standing="shown",
        says="It happens to long requests.",
        evidence=(
            f"failures have {at_failure:.0f} tokens (median, prompt and answer asked for), the others {otherwise:.0f}",
            f"{share(len(long), len(failed))} failures tell their length; the longest answered has {longest:.0f}",
        ),
        turns=(
            Turn(dial="engine.max_model_len", to=f"{int(min(longest, at_failure))} or less"),
            Turn(dial="engine.kv_cache_bytes", to="a bound: then long requests wait for room instead of failing"),
        ),
        requests=ids(failed),
    )


def _lengths(requests: list[Asked]) -> list[float]:
    return [
        float(each.input_tokens + (each.output_tokens or each.max_tokens or 0))
        for each in requests
        if each.input_tokens is not None
    ]


def _leak(record: Record) -> Iterator[Cause]:
    """The ledger of the last serve: what it held at most beyond what arithmetic says, first and last."""
    told = [each for each in record.requests if each.predicted_peak_bytes and each.peak_allocated_bytes]
    newest = max(told, key=lambda each: each.at, default=None)
    if newest is None or newest.predicted_peak_bytes is None:
        return
    same = sorted((each for each in told if each.instance == newest.instance), key=lambda each: each.at)
    if len(same) < 2 * _FEWEST:
        return
    first, last = (min(map(_residual, part)) for part in (same[:_FEWEST], same[-_FEWEST:]))
    if last - first < record.leak_share * newest.predicted_peak_bytes:
        return
    yield Cause(
        name="leak",
        standing="shown",
        says="Memory is not given back: serve holds more and more than its requests need.",
        evidence=(
            f"measured peak over the predicted one: {first / GIB:+.2f} GiB in the first {_FEWEST} requests of this "
            f"serve, {last / GIB:+.2f} GiB in the last {_FEWEST}",
        ),
        turns=(Turn(dial="llmops serve", to="restart it when the queue is empty; docs/runbooks/vram_leak.md"),),
        requests=ids(same[-_FEWEST:]),
    )


def _residual(request: Asked) -> int:
    return (request.peak_allocated_bytes or 0) - (request.predicted_peak_bytes or 0)


def _held(record: Record) -> Iterator[Cause]:
    for card in record.cards:
        used, limit = card.memory_used_bytes, card.memory_limit_bytes
        reserved, allocated = card.torch_reserved_bytes, card.torch_allocated_bytes
        if used is None or not limit:
            continue
        if reserved and used - reserved - _CONTEXT_BYTES > _FOREIGN * limit:
            yield Cause(
                name="other processes",
                standing="shown",
                says="Part of the card is held by something that is not this serve.",
                evidence=(
                    f"{card.name}: {used / GIB:.1f} GiB used on average, {reserved / GIB:.1f} of them by serve's torch",
                ),
                turns=(Turn(dial="llmops doctor", to="says which process holds it"),),
            )
        if reserved and allocated is not None and reserved - allocated > _KEPT * limit:
            yield Cause(
                name="fragmentation",
                standing="fits",
                says="torch keeps memory that it does not fill: requests of many sizes leave gaps.",
                evidence=(f"{card.name}: {reserved / GIB:.1f} GiB kept on average, {allocated / GIB:.1f} filled",),
                turns=(
                    Turn(dial="PYTORCH_CUDA_ALLOC_CONF", to="expandable_segments:True, in the environment of serve"),
                    Turn(dial="engine.kv_cache_bytes", to="a bound"),
                ),
            )
        if record.quantization == "none" and allocated is not None and allocated > _FULL * limit:
            yield Cause(
                name="weights",
                standing="fits",
                says="The card is nearly full all the time: weights and cache leave little for a step.",
                evidence=(f"{card.name}: {allocated / GIB:.1f} of {limit / GIB:.1f} GiB filled on average",),
                turns=(
                    Turn(dial="engine.quantization", to="int8 or nf4"),
                    Turn(dial="engine.kv_cache_bytes", to="less"),
                ),
            )


def _open(record: Record, failed: list[Asked]) -> Cause:
    quantization = (Turn(dial="engine.quantization", to="int8 or nf4"),) if record.quantization == "none" else ()
    return Cause(
        name="not known",
        standing="fits",
        says="Neither batch nor length stands out. What lowers the need in any case, cheapest first:",
        evidence=(f"engine.max_running is {record.max_running}, engine.quantization {record.quantization}",),
        turns=(
            Turn(dial="engine.max_running", to="half of it"),
            Turn(dial="engine.max_model_len", to="what users need"),
            Turn(dial="engine.kv_cache_bytes", to="a bound"),
            *quantization,
        ),
        requests=ids(failed),
    )
