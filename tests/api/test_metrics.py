"""`/metrics` is valid Prometheus text, has vLLM's names and labels, and counts what happened."""

from __future__ import annotations

import math

import httpx
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from llmops.engine.embedding import EchoEmbedding
from tests.api.running import Running, running
from tests.api.test_routes import CHAT, HELLO

# The panels of vLLM's own Grafana board, and what its metrics page lists for a text model.
VLLM = {
    "vllm:num_requests_running": "gauge",
    "vllm:num_requests_waiting": "gauge",
    "vllm:kv_cache_usage_perc": "gauge",
    "vllm:prefix_cache_queries": "counter",
    "vllm:prefix_cache_hits": "counter",
    "vllm:prompt_tokens": "counter",
    "vllm:generation_tokens": "counter",
    "vllm:request_success": "counter",
    "vllm:time_to_first_token_seconds": "histogram",
    "vllm:inter_token_latency_seconds": "histogram",
    "vllm:request_time_per_output_token_seconds": "histogram",
    "vllm:e2e_request_latency_seconds": "histogram",
    "vllm:request_queue_time_seconds": "histogram",
    "vllm:request_inference_time_seconds": "histogram",
    "vllm:request_prefill_time_seconds": "histogram",
    "vllm:request_decode_time_seconds": "histogram",
    "vllm:request_prompt_tokens": "histogram",
    "vllm:request_generation_tokens": "histogram",
    "vllm:request_max_num_generation_tokens": "histogram",
    "vllm:request_params_max_tokens": "histogram",
}


async def scrape(server: Running, http: httpx.AsyncClient) -> dict[str, Metric]:
    answer = await http.get(f"{server.url}/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.text))
    assert len({family.name for family in families}) == len(families)
    return {family.name: family for family in families}


def value(families: dict[str, Metric], sample: str, **labels: str) -> float:
    return sum(
        float(each.value)
        for family in families.values()
        for each in family.samples
        if each.name == sample and labels.items() <= each.labels.items()
    )


async def test_every_family_of_vllms_board_is_there_before_the_first_request() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        families = await scrape(server, http)
        assert {name: families[name].type for name in VLLM if name in families} == VLLM
        for name in VLLM:
            assert families[name].samples, name
            for sample in families[name].samples:
                assert (sample.labels["model_name"], sample.labels["engine"]) == ("echo", "0")


async def test_the_text_is_what_promtool_would_pass() -> None:
    async with running() as server, httpx.AsyncClient() as http:
        await http.post(server.url + CHAT, json=HELLO)
        await http.post(server.url + CHAT, json={})
        await server.settled(2)
        families = await scrape(server, http)
    for family in families.values():
        assert family.documentation, family.name
        seen = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(set(seen)) == len(seen)
        assert all(math.isfinite(sample.value) and sample.value >= 0 for sample in family.samples)
        if family.type == "histogram":
            buckets = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
            assert buckets == sorted(buckets)
            assert buckets[-1] == value({family.name: family}, f"{family.name}_count")
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples)


async def test_requests_are_counted_by_what_became_of_them() -> None:
    async with running(embedding=EchoEmbedding()) as server, httpx.AsyncClient() as http:
        await http.post(server.url + CHAT, json={**HELLO, "max_tokens": 4})
        await http.post(server.url + CHAT, json={**HELLO, "n": 2})
        await http.post(f"{server.url}/v1/embeddings", json={"input": "one two"})
        await server.settled(3)
        families = await scrape(server, http)
    assert value(families, "vllm:request_success_total", finished_reason="length") == 1
    assert value(families, "vllm:request_success_total") == 1
    assert value(families, "vllm:generation_tokens_total") == 4
    assert value(families, "vllm:inter_token_latency_seconds_count") == 3
    assert 0 < value(families, "vllm:inter_token_latency_seconds_sum") < 1
    assert value(families, "vllm:request_params_max_tokens_sum") == 4
    assert value(families, "vllm:prefix_cache_queries_total") == value(families, "vllm:prompt_tokens_total") > 0
    assert value(families, "vllm:prefix_cache_hits_total") == 0
    assert value(families, "vllm:e2e_request_latency_seconds_count") == 1
    assert value(families, "llmops_embedding_tokens_total") == 2
    assert value(families, "llmops_requests_total", operation="embeddings", outcome="success") == 1
    assert value(families, "llmops_requests_total", error_type="invalid_request", status="400") == 1


async def test_a_refusal_is_counted_by_its_reason_and_the_others_stand_at_zero() -> None:
    async with running(burst=1, rate_per_s=0.1) as server, httpx.AsyncClient() as http:
        for _ in range(2):
            await http.post(server.url + CHAT, json=HELLO)
        await server.settled(2)
        families = await scrape(server, http)
        assert value(families, "llmops_refusals_total", reason="rate_limited") == 1
        reasons = {sample.labels["reason"] for sample in families["llmops_refusals"].samples}
        assert {"rate_limited", "queue_full", "draining", "not_ready"} <= reasons
        assert value(families, "llmops_refusals_total") == 1
