from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from llmops.engine.cache_plan import PAGE_SIZE, CachePlan, longest, plan_cache
from llmops.engine.restarts import LIMIT, WINDOW_S, Restarts

SIZES = st.integers(1, 1 << 20)


@given(
    budget=st.integers(0, 1 << 40),
    kv=SIZES,
    mask=st.integers(0, 4),
    batch=SIZES,
    running=st.integers(1, 512),
    model_len=st.integers(64, 1 << 17),
)
def test_a_plan_keeps_the_budget_and_its_longest_answer_fits_the_cache(
    *, budget: int, kv: int, mask: int, batch: int, running: int, model_len: int
) -> None:
    plan = plan_cache(
        budget_bytes=budget,
        kv_bytes_per_token=kv,
        mask_bytes_per_cell=mask,
        max_batch_tokens=batch,
        max_running=running,
        model_len=model_len,
    )
    per_page = PAGE_SIZE * (kv + mask * plan.max_batch_tokens)
    assert plan.num_blocks <= max(2, budget // per_page)
    assert plan.max_model_len <= min(model_len, longest(plan.num_blocks))
    assert plan.max_batch_tokens >= plan.max_running
    assert plan.shrunk().max_model_len <= plan.max_model_len
    assert plan.room_tokens([]) == plan.max_model_len
    assert 0 <= plan.room_tokens([plan.max_model_len]) <= plan.tokens - plan.max_model_len


def test_the_cache_is_not_larger_than_what_all_running_answers_can_fill() -> None:
    plan = plan_cache(
        budget_bytes=1 << 40,
        kv_bytes_per_token=8192,
        mask_bytes_per_cell=4,
        max_batch_tokens=256,
        max_running=16,
        model_len=2048,
    )
    assert plan.num_blocks * PAGE_SIZE * 8192 < 400 << 20
    assert plan.max_model_len == 2048


def test_waits_between_restarts_grow_and_then_patience_ends() -> None:
    restarts = Restarts()
    waits = [restarts.wait_s(float(now)) for now in range(LIMIT)]
    assert waits == sorted(wait for wait in waits if wait is not None)
    assert restarts.wait_s(LIMIT) is None


def test_old_restarts_are_forgotten() -> None:
    restarts = Restarts()
    for now in range(LIMIT):
        restarts.wait_s(float(now))
    assert restarts.wait_s(WINDOW_S + LIMIT) == 0.1


def test_the_contract_and_the_echo_engine_load_no_heavy_library() -> None:
    code = (
        "import sys, llmops.engine, llmops.engine.contract, llmops.engine.echo\n"
        "from llmops.engine.build import build_engine\n"
        "build_engine('echo')\n"
        "print([name for name in ('torch', 'transformers', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_runs_leaves_less_room() -> None:
    plan = CachePlan(num_blocks=100, max_batch_tokens=256, max_running=16, max_model_len=2000, kv_bytes_per_token=8)
    assert [plan.room_tokens(lengths) for lengths in ([], [500], [1000, 1], [2720], [9000])] == [2000, 2000, 1664, 0, 0]
