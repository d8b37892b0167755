"""From documents of the store to the lines of an overview."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from llmops.events import AlertEvent, BenchmarkEvent, Document, SampleEvent
from llmops.events.names import name_of, seconds_of
from llmops.events.snapshot import DeviceSnapshot
from llmops.overview.contract import AlertLine, BenchmarkLine

_ACTIVE = ("pending", "firing")


def alert_lines(transitions: Iterable[Document]) -> tuple[AlertLine, ...]:
    """Alerts that are active now: the newest transition of each fingerprint decides. Firing ones first."""
    newest: dict[str, Document] = {}
    for document in transitions:
        if _of(AlertEvent, document, "channel") is None:  # a delivery report is no transition
            newest.setdefault(
                str(_of(AlertEvent, document, "fingerprint") or _of(AlertEvent, document, "rule_id")), document
            )
    lines = [_alert_line(document) for document in newest.values() if _of(AlertEvent, document, "state") in _ACTIVE]
    return tuple(sorted(lines, key=lambda line: (line.state != "firing", line.severity != "page", line.since)))


def _alert_line(document: Document) -> AlertLine:
    def value(attribute: str) -> Any:
        return _of(AlertEvent, document, attribute)

    return AlertLine(
        name=str(value("rule_name") or "?"),
        severity=str(value("severity") or "ticket"),
        state=str(value("state")),
        since=seconds_of(value("start") or document["@timestamp"]),
        value=value("value"),
        threshold=value("threshold"),
        reason=str(value("reason") or ""),
        exemplars=tuple(value("exemplars") or ()),
    )


def benchmark_line(document: Document) -> BenchmarkLine:
    """What the terminal says of one benchmark."""

    def value(attribute: str) -> Any:
        return _of(BenchmarkEvent, document, attribute)

    return BenchmarkLine(
        at=seconds_of(document["@timestamp"]),
        benchmark_id=str(value("benchmark_id")),
        trigger=str(value("trigger") or "manual"),
        completed=int(value("completed") or 0),
        failed=int(value("failed") or 0),
        output_tokens_per_s=value("output_tokens_per_s"),
        ttft_p50_s=value("ttft_p50_s"),
        e2e_p50_s=value("e2e_p50_s"),
        regression=bool(value("regression")),
        delta_throughput_pct=value("delta_throughput_pct"),
    )


def devices_of(samples: Sequence[Document]) -> tuple[DeviceSnapshot, ...]:
    """The newest sample of each device, in the order of their ids."""
    newest = {str(_of(SampleEvent, document, "device_id")): document for document in samples}
    return tuple(_device(newest[device_id]) for device_id in sorted(newest))


def _device(document: Document) -> DeviceSnapshot:
    def value(*attributes: str) -> Any:
        found = (_of(SampleEvent, document, attribute) for attribute in attributes)
        return next((item for item in found if item is not None), None)

    return DeviceSnapshot(
        id=str(value("device_id")),
        name=str(value("device_name")),
        type=str(value("device_type") or "gpu"),
        utilization=value("utilization", "cpu_utilization"),
        memory_used_bytes=value("memory_used_bytes", "system_memory_used_bytes"),
        memory_limit_bytes=value("memory_limit_bytes", "system_memory_limit_bytes"),
        power_w=value("power_w"),
        temperature_c=value("temperature_c"),
    )


def _of(event_type: type, document: Document, attribute: str) -> Any:
    return document.get(name_of(event_type, attribute))
