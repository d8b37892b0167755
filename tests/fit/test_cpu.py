"""Memory and speed of a model on a machine without a GPU."""

from __future__ import annotations

import dataclasses

import pytest

from llmops.fit.advice import offload, tensors_split
from llmops.fit.cards import Box
from llmops.fit.cpu import RUNTIME_BYTES, compute_bytes, cpu_box, cpu_need, cpu_read_bytes
from llmops.fit.cpu_own import cpu_hosts
from llmops.fit.own import Measured
from llmops.fit.verdict import judge
from llmops.fit.weights import Scheme
from tests.fit.known import KNOWN, model

_GIB = 1 << 30
QWEN = "Qwen/Qwen2.5-0.5B-Instruct"


def machine(free_gib: float = 16, *, computes_bf16: bool = False) -> Box:
    return cpu_box(
        cores=8,
        memory_bytes=32 * _GIB,
        free_bytes=int(free_gib * _GIB),
        bandwidth=20e9,
        computes_bf16=computes_bf16,
    )


def test_plain_weights_are_float32_unless_processor_and_files_are_in_bfloat16() -> None:
    it = model(QWEN)
    assert compute_bytes(it, machine()) == 4
    assert compute_bytes(it, machine(computes_bf16=True)) == 2
    half = dataclasses.replace(it, config={**it.config, "torch_dtype": "float16"})
    assert compute_bytes(half, machine(computes_bf16=True)) == 4
    fits = [judge(it, "none", each, KNOWN.hosts, context=512) for each in (machine(), machine(computes_bf16=True))]
    assert [fit.stored_as for fit in fits] == ["float32", "bf16"]
    assert judge(it, "nf4", machine(), KNOWN.hosts, context=512).stored_as == "nf4"


def test_a_need_is_weights_cache_and_what_the_process_takes_and_no_cuda_context() -> None:
    it = model(QWEN)
    needed = cpu_need(it, "none", machine(), prompt=2048)
    assert needed.weights == 4 * it.parameters
    assert needed.context == RUNTIME_BYTES
    assert cpu_need(it, "none", machine(), prompt=2048, batch=4).cache == 4 * needed.cache
    smaller = [cpu_need(it, each, machine(), prompt=2048).weights for each in ("int8", "nf4")]
    assert needed.weights > smaller[0] > smaller[1]
    assert cpu_need(it, "none", machine(computes_bf16=True), prompt=2048).weights == needed.weights // 2
    came = dataclasses.replace(it, stored_bytes=123)
    assert cpu_need(came, "none", machine(), prompt=16).weights == 123


def test_the_verdict_is_by_the_ram_that_is_free() -> None:
    words = [judge(model(QWEN), "none", machine(free), KNOWN.hosts, context=2048).word for free in (16, 2.8, 2)]
    assert words == ["comfortable", "tight", "no"]
    fit = judge(model(QWEN), "none", machine(3), KNOWN.hosts, context=2048)
    assert 0 < fit.longest < 32768
    assert offload(judge(model(QWEN), "none", machine(1), KNOWN.hosts, context=64), KNOWN.hosts) is None
    assert tensors_split(fit, KNOWN.hosts) is None


def test_without_runs_of_its_own_the_speed_is_a_wide_range_under_the_bandwidth() -> None:
    speed = judge(model(QWEN), "none", machine(), KNOWN.hosts, context=512).speed
    assert speed.basis == "memory bandwidth"
    at_most = 20e9 / cpu_read_bytes(model(QWEN), "none", machine(), tokens=512)
    assert speed.high == pytest.approx(at_most)
    assert speed.low < speed.high / 2
    quick, slow = (
        judge(model(QWEN), "nf4", each, KNOWN.hosts, context=512).speed
        for each in (machine(computes_bf16=True), machine())
    )
    assert quick.high > speed.high > slow.high


def measured(name: str, scheme: Scheme, tokens_per_s: float) -> Measured:
    return Measured(name, scheme, 1 / tokens_per_s)


def test_own_runs_say_which_share_of_the_bandwidth_is_reached() -> None:
    runs = [
        measured("Qwen2.5-0.5B-Instruct", "none", 5.0),
        measured("Qwen2.5-0.5B-Instruct", "none", 500.0),  # an older run of the same
        measured("TinyLlama-1.1B-Chat-v1.0", "none", 2.0),
        measured("nobody-knows-it", "none", 7.0),
        Measured(QWEN, "nf4", 0.0),
    ]
    hosts = {**KNOWN.hosts, **cpu_hosts(runs, KNOWN.models, machine())}
    own = judge(model(QWEN), "none", machine(), hosts, context=1).speed
    assert (own.basis, own.runs) == ("measured here", 1)
    assert own.low < 5.0 < own.high
    other = judge(model("Qwen3-0.6B"), "none", machine(), hosts, context=1).speed
    assert (other.basis, other.runs) == ("calibrated here", 2)
    assert judge(model(QWEN), "nf4", machine(), hosts, context=1).speed.basis == "memory bandwidth"
    assert (
        cpu_hosts(
            runs, KNOWN.models, dataclasses.replace(machine(), card=dataclasses.replace(machine().card, bandwidth=0.0))
        )
        == {}
    )


def test_the_machine_is_named_by_its_cores() -> None:
    assert machine().name == "CPU with 8 cores"
    assert cpu_box(cores=1, memory_bytes=1, free_bytes=1, bandwidth=1.0, computes_bf16=False).name == "CPU with 1 core"
