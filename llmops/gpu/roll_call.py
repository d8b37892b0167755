"""Which cards are here, who holds their memory and how they reach each other, as one line of JSON.

A script: a driver that hangs ends only it. It needs pynvml and nothing of llmops.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pynvml

_T = TypeVar("_T")
_PROBLEMS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "library_missing",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "driver_not_loaded",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "mismatch",
    pynvml.NVML_ERROR_NO_PERMISSION: "no_permission",
}


def report() -> dict[str, Any]:
    """`problem` is why NVML can't be asked, or None; then versions, cards, and pairs that reach each other or not."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return {"problem": _PROBLEMS.get(error.value, "failed"), "told": str(error)}
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        cuda = _asked(pynvml.nvmlSystemGetCudaDriverVersion)
        return {
            "problem": None,
            "driver": _text(pynvml.nvmlSystemGetDriverVersion()),
            "cuda": None if cuda is None else [cuda // 1000, cuda % 1000 // 10],
            "cards": [_card(handle) for handle in handles],
            "peers": [
                [one, other, _reaches(handles[one], handles[other])]
                for one in range(len(handles))
                for other in range(one + 1, len(handles))
            ],
        }
    except pynvml.NVMLError as error:
        return {"problem": _PROBLEMS.get(error.value, "failed"), "told": str(error)}
    finally:
        pynvml.nvmlShutdown()


def _card(handle: Any) -> dict[str, Any]:
    memory = _asked(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    rates = _asked(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    return {
        "id": _text(pynvml.nvmlDeviceGetUUID(handle)),
        "name": _text(pynvml.nvmlDeviceGetName(handle)),
        "used_bytes": None if memory is None else int(memory.used),
        "total_bytes": None if memory is None else int(memory.total),
        "utilization": None if rates is None else rates.gpu / 100,
        "capability": _asked(lambda: pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
        "links": _links(handle),
        "holders": _holders(handle),
    }


def _links(handle: Any) -> dict[int, bool]:
    """Of each NVLink that the card has, whether it is up."""
    states = {
        link: _asked(lambda link=link: pynvml.nvmlDeviceGetNvLinkState(handle, link))  # type: ignore[misc]
        for link in range(pynvml.NVML_NVLINK_MAX_LINKS)
    }
    return {link: bool(state) for link, state in states.items() if state is not None}


def _holders(handle: Any) -> dict[int, int | None]:
    """Bytes by process; None where the driver does not tell."""
    found: list[Any] = []
    for ask in (pynvml.nvmlDeviceGetComputeRunningProcesses, pynvml.nvmlDeviceGetGraphicsRunningProcesses):
        found += _asked(lambda ask=ask: ask(handle)) or []  # type: ignore[misc]
    return {each.pid: each.usedGpuMemory for each in found}


def _reaches(one: Any, other: Any) -> bool | None:
    status = _asked(lambda: pynvml.nvmlDeviceGetP2PStatus(one, other, 0))
    return None if status is None else status == pynvml.NVML_P2P_STATUS_OK


def _asked(question: Callable[[], _T]) -> _T | None:
    try:
        return question()
    except pynvml.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


if __name__ == "__main__":
    print(json.dumps(report()))  # noqa: T201
