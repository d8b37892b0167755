from __future__ import annotations

import dataclasses

from llmops.events.snapshot import DeviceSnapshot, ModelSnapshot, ServeSnapshot


def test_a_snapshot_is_plain_values_that_become_json() -> None:
    snapshot = ServeSnapshot(
        schema_version="1",
        at=1.0,
        instance_id="i",
        process_id=1,
        started_at=0.0,
        previous_exit="none",
        state="ready",
        model=ModelSnapshot(id="m", version="v", engine="echo"),
        running=0,
        running_capacity=1,
        waiting=0,
        waiting_capacity=1,
        output_tokens_per_s=0.0,
        requests_by_outcome={},
        refusals_by_slug={},
        devices=(DeviceSnapshot(id="d", name="n", type="gpu"),),
    )
    body = dataclasses.asdict(snapshot)
    assert body["model"]["engine"] == "echo"
    assert body["devices"][0]["power_w"] is None
    assert body["environment"] == {}
