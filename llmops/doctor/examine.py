"""The whole examination: collects side by side what takes long, then lets every check look."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from llmops.doctor import collect_cards, collect_exposure, collect_machine, collect_record
from llmops.doctor.card_checks import check_driver, check_evenness, check_links, check_nccl
from llmops.doctor.card_checks import check_memory as check_vram
from llmops.doctor.exposure_checks import check_exposure
from llmops.doctor.facts import (
    BitsandbytesFacts,
    ClockFacts,
    DiskFacts,
    ElasticFacts,
    ExposureFacts,
    GpuFacts,
    MemoryFacts,
    PortFacts,
    StateFacts,
    StoreFacts,
    TorchFacts,
)
from llmops.doctor.finding import Finding
from llmops.doctor.library_checks import check_bitsandbytes, check_torch
from llmops.doctor.machine_checks import check_clock, check_disk, check_memory, check_port
from llmops.doctor.record_checks import check_dials, check_elastic, check_journal, check_state, check_store
from llmops.settings import Loaded, Settings

PATIENCE_S = 60.0
"""For a library to be imported or a driver to answer: torch from a cold, slow disk takes half of it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of them. `dials_problem`: the sentence about a dial that can't be used. `elastic` None: it is not in use."""

    dials_problem: str | None
    gpu: GpuFacts
    torch: TorchFacts
    bitsandbytes: BitsandbytesFacts
    memory: MemoryFacts
    disk: DiskFacts
    port: PortFacts
    exposure: ExposureFacts
    state: StateFacts
    store: StoreFacts
    elastic: ElasticFacts | None
    clock: ClockFacts
    mean_use: dict[str, float]


def collect(loaded: Loaded, dials_problem: str | None = None, *, patience_s: float = PATIENCE_S) -> Facts:
    """Looks at this machine; the slow parts beside each other."""
    settings = loaded.settings
    state, url = settings.state, collect_record.elastic_url(loaded)
    with ThreadPoolExecutor() as pool:
        gpu = pool.submit(collect_cards.gpu_facts, state.run, timeout_s=patience_s)
        torch = pool.submit(collect_cards.torch_facts, timeout_s=patience_s)
        bitsandbytes = pool.submit(collect_cards.bitsandbytes_facts, timeout_s=patience_s)
        elastic = None if url is None else pool.submit(collect_record.elastic_facts, settings)
        exposure = pool.submit(collect_exposure.exposure_facts, settings)
        clock = pool.submit(collect_machine.clock_facts, settings, url)
        return Facts(
            dials_problem=dials_problem,
            memory=collect_machine.memory_facts(),
            disk=collect_machine.disk_facts(state.directory),
            port=collect_machine.port_facts(settings),
            state=collect_record.state_facts(loaded),
            store=collect_record.store_facts(Path(state.store)),
            mean_use=collect_record.mean_use(state.store, time.time()),
            clock=clock.result(),
            exposure=exposure.result(),
            elastic=None if elastic is None else elastic.result(),
            gpu=gpu.result(),
            torch=torch.result(),
            bitsandbytes=bitsandbytes.result(),
        )


def judge(facts: Facts, settings: Settings) -> Iterator[Finding]:
    """Every finding, in the order in which one would mend them."""
    engine, gauges = settings.engine, settings.gauges
    runs_here = engine.kind.startswith("transformers") or engine.embedding_model not in (None, "echo")
    yield check_dials(facts.dials_problem)
    yield from check_state(facts.state)
    yield from check_journal(facts.state)
    yield check_store(facts.store)
    yield check_disk(
        facts.disk,
        fire=gauges.disk_fire,
        fire_bytes=gauges.disk_fire_bytes,
        clear=gauges.disk_clear,
        clear_bytes=gauges.disk_clear_bytes,
    )
    yield check_memory(facts.memory)
    yield check_port(facts.port)
    yield check_exposure(facts.exposure, keys=settings.admission.keys, behind_proxy=settings.serve.behind_proxy)
    yield check_clock(facts.clock)
    yield check_driver(facts.gpu)
    yield from check_vram(facts.gpu)
    yield check_torch(facts.torch, facts.gpu, is_needed=runs_here, uses_gpu=engine.device != "cpu")
    yield check_bitsandbytes(facts.bitsandbytes, facts.gpu, quantization=engine.quantization if runs_here else "none")
    yield from check_links(facts.gpu)
    yield from check_nccl(facts.gpu, facts.torch)
    yield from check_evenness(facts.gpu, device_map=engine.device_map, mean_use=facts.mean_use)
    if facts.elastic is not None:
        yield check_elastic(facts.elastic)
