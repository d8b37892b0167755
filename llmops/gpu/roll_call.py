"""Which cards are here, who holds their memory and how they reach each other, as one line of JSON.

A script, so that a driver that hangs ends only it. Asked with -P, where llmops may not be on the path.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))

import pynvml

from llmops.gpu.contract import SamplerUnavailable
from llmops.gpu.driver import driver, facts, reaches, versions

_PROBLEMS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "library_missing",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "driver_not_loaded",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "mismatch",
    pynvml.NVML_ERROR_NO_PERMISSION: "no_permission",
}


def report() -> dict[str, Any]:
    """`problem` is why NVML can't be asked, or None; then versions, cards, and pairs that reach each other or not."""
    try:
        with driver() as handles:
            return {
                "problem": None,
                "versions": dataclasses.asdict(versions()),
                "cards": [dataclasses.asdict(facts(handle)) for handle in handles],
                "peers": _peers(handles),
            }
    except SamplerUnavailable as error:
        return {"problem": _PROBLEMS.get(error.code or 0, "failed"), "told": error.reason}


def _peers(handles: Sequence[Any]) -> list[tuple[int, int, bool | None]]:
    return [
        (one, other, reaches(handles[one], handles[other]))
        for one in range(len(handles))
        for other in range(one + 1, len(handles))
    ]


if __name__ == "__main__":
    print(json.dumps(report()))  # noqa: T201
