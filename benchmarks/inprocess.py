"""An engine without a server, for comparison: reads jobs from standard input, writes answers to standard output.

`python -m benchmarks.inprocess library|openvino FOLDER`, as benchmarks.serving starts it. One JSON line a job: prompts
(token ids), max_tokens, clients, each, or instead of the last two rate_per_s. openvino needs only its own packages.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.load import Answer, closed_loop, poisson

Submit = Callable[[list[int], int, Callable[[int, bool], None]], None]
"""(prompt, max_tokens, on_tokens(how many came, is it the end)); the callback runs on any thread."""


def main() -> None:
    """Say `ready`, then answer jobs until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("engine", choices=("library", "openvino"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    submit = {"library": _library, "openvino": _openvino}[arguments.engine](arguments.folder)
    print("ready", flush=True)
    for line in sys.stdin:
        answers = asyncio.run(_work(submit, json.loads(line)))
        print(json.dumps([dataclasses.astuple(answer) for answer in answers]), flush=True)


async def _work(submit: Submit, job: dict[str, Any]) -> list[Answer]:
    loop = asyncio.get_running_loop()

    async def ask(prompt: Any, max_tokens: int) -> Answer:
        times: list[float] = []
        count = 0
        ended = loop.create_future()

        def on_tokens(tokens: int, is_last: bool) -> None:
            nonlocal count
            times.append(time.perf_counter())
            count += tokens
            if is_last:
                loop.call_soon_threadsafe(ended.set_result, None)

        sent_at = time.perf_counter()
        submit(prompt, max_tokens, on_tokens)
        await ended
        return Answer(sent_at, tuple(times), times[-1], len(prompt), count)

    if "rate_per_s" in job:
        return await poisson(ask, job["prompts"], job["max_tokens"], rate_per_s=job["rate_per_s"], seed=job["seed"])
    return await closed_loop(ask, job["prompts"], job["max_tokens"], clients=job["clients"], each=job["each"])


def _library(folder: Path) -> Submit:
    """transformers' continuous batching with the cache and batch that our engine gives it, greedy as it is."""
    from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

    from llmops.engine.batching import plan_for
    from llmops.engine.cache_plan import PAGE_SIZE
    from llmops.engine.dials import EngineDials
    from llmops.engine.loading import load

    dials = EngineDials()
    plan = plan_for(load(str(folder), dials), dials)
    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()  # type: ignore[no-untyped-call]
    manager = model.init_continuous_batching(
        generation_config=GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0),  # type: ignore[no-untyped-call]
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=PAGE_SIZE,
            num_blocks=plan.num_blocks,
            max_batch_tokens=plan.max_batch_tokens,
            auto_switch_to_flash=False,
            default_compile_level=0,
        ),
    )
    manager.start()
    router = manager.output_router

    def submit(prompt: list[int], max_tokens: int, on_tokens: Callable[[int, bool], None]) -> None:
        seen = 0

        def arrive(output: Any) -> None:
            nonlocal seen
            fresh = len(output.generated_tokens) - seen
            seen += fresh
            on_tokens(fresh, output.is_finished())

        key = f"r{id(arrive)}-{time.perf_counter_ns()}"
        router.result_handlers[key] = (arrive, asyncio.get_running_loop())
        manager.add_request(prompt, request_id=key, max_new_tokens=max_tokens, streaming=True, eos_token_id=-1)

    return submit


def _openvino(folder: Path) -> Submit:
    import numpy as np
    import openvino
    import openvino_genai

    scheduling = openvino_genai.SchedulerConfig()
    scheduling.cache_size = 1  # GiB
    scheduling.max_num_seqs = 64
    pipeline = openvino_genai.ContinuousBatchingPipeline(str(folder), scheduling, "CPU")
    running: dict[int, tuple[Any, Callable[[int, bool], None]]] = {}
    news = threading.Condition()

    def run() -> None:
        while True:
            with news:
                news.wait_for(lambda: bool(running))
                current = list(running.items())
            pipeline.step()
            for number, (handle, on_tokens) in current:
                while handle.can_read():
                    on_tokens(sum(len(output.generated_ids) for output in handle.read().values()), False)
                if handle.get_status() != openvino_genai.GenerationStatus.RUNNING:
                    with news:
                        del running[number]
                    on_tokens(0, True)

    threading.Thread(target=run, daemon=True).start()
    numbers = iter(range(1 << 62))

    def submit(prompt: list[int], max_tokens: int, on_tokens: Callable[[int, bool], None]) -> None:
        dials = openvino_genai.GenerationConfig()
        dials.max_new_tokens, dials.ignore_eos, dials.do_sample = max_tokens, True, False
        with news:
            number = next(numbers)
            handle = pipeline.add_request(number, openvino.Tensor(np.array([prompt], dtype=np.int64)), dials)
            running[number] = (handle, on_tokens)
            news.notify()

    return submit


if __name__ == "__main__":
    main()
