"""A machine for the doctor to look at: real processes and files, with stand-ins for the libraries that they import."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from llmops.shell import doctor as verb

GIB = 1 << 30

PYNVML = """
import types
NVML_ERROR_LIBRARY_NOT_FOUND, NVML_ERROR_DRIVER_NOT_LOADED = 12, 9
NVML_ERROR_LIB_RM_VERSION_MISMATCH, NVML_ERROR_NO_PERMISSION = 18, 4
NVML_NVLINK_MAX_LINKS, NVML_P2P_STATUS_OK = 2, 0
class NVMLError(Exception):
    def __init__(self, value):
        super().__init__(f"NVML error {value}")
        self.value = value
def refused(*_):
    raise NVMLError(3)
problem, cuda, holders, cards = None, 12080, {}, 1
def nvmlInit():
    if problem:
        raise NVMLError(problem)
nvmlShutdown = lambda: None
nvmlSystemGetDriverVersion = lambda: b"570.86"
nvmlSystemGetCudaDriverVersion = lambda: cuda
nvmlDeviceGetCount = lambda: cards
nvmlDeviceGetHandleByIndex = lambda index: index
nvmlDeviceGetUUID = lambda handle: f"GPU-{handle}"
nvmlDeviceGetName = lambda handle: "NVIDIA Test 12GB"
nvmlDeviceGetMemoryInfo = lambda handle: types.SimpleNamespace(used=(1 << 28) + sum(holders.values()), total=12 << 30)
nvmlDeviceGetUtilizationRates = lambda handle: types.SimpleNamespace(gpu=5, memory=1)
nvmlDeviceGetCudaComputeCapability = lambda handle: (8, 9)
nvmlDeviceGetNvLinkState = refused
nvmlDeviceGetP2PStatus = refused
nvmlDeviceGetGraphicsRunningProcesses = refused
def nvmlDeviceGetComputeRunningProcesses(handle):
    return [types.SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in holders.items()]
"""
TORCH = """
import types
__version__ = "2.13.0+cu128"
version = types.SimpleNamespace(cuda="12.8", hip=None)
cuda = types.SimpleNamespace(
    is_available=lambda: True, get_arch_list=lambda: ["sm_80", "sm_90"],
    nccl=types.SimpleNamespace(version=lambda: (2, 27, 5)),
)
distributed = types.SimpleNamespace(is_available=lambda: True, is_nccl_available=lambda: True)
ones = lambda *_: 1
equal = lambda one, other: one == other
"""
BITSANDBYTES = """
__version__ = "0.50.2"
"""


class Machine:
    """Its libraries can be changed before the doctor comes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.state = folder / "state"
        self.work = folder / "work"
        self.work.mkdir()
        self._libraries = folder / "libraries"
        self._capsys = capsys
        self.patch = monkeypatch
        for name, text in {"pynvml": PYNVML, "torch": TORCH}.items():
            self.library(name, text)
        self.library("bitsandbytes/__init__", BITSANDBYTES)
        self.library("bitsandbytes/cextension", "class lib:\n    compiled_with_cuda = True\n")
        self.library(
            "bitsandbytes/functional", "quantize_4bit = lambda x, **_: (x, 0)\ndequantize_4bit = lambda x, _: x\n"
        )
        monkeypatch.chdir(self.work)
        monkeypatch.setenv("PYTHONPATH", str(self._libraries))
        self.dial("serve.port", "0")

    def library(self, name: str, text: str) -> None:
        """This is what `import` finds in the processes that the doctor starts."""
        path = self._libraries / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def driver(self, **changed: Any) -> None:
        """NVML with other answers."""
        self.library("pynvml", PYNVML + "".join(f"{name} = {value!r}\n" for name, value in changed.items()))

    def dial(self, name: str, value: str) -> None:
        """Through the environment."""
        self.patch.setenv(f"LLMOPS_{name.replace('.', '__')}".upper(), value)

    def examine(self, *, bundle: Path | None = None) -> dict[str, dict[str, str]]:
        """The worst finding of each check; the exit code is that of the worst of all."""
        code = verb.run(str(self.state), as_json=True, bundle=None if bundle is None else str(bundle))
        told = json.loads(self._capsys.readouterr().out)
        order = ("ok", "warning", "error")
        assert code == told["exit_code"] == max(order.index(each["state"]) for each in told["findings"])
        assert all((each["command"] is None) == (each["state"] == "ok") for each in told["findings"])
        return {each["check"]: each for each in sorted(told["findings"], key=lambda each: order.index(each["state"]))}


@contextlib.contextmanager
def showing_date(date: str) -> Iterator[str]:
    """The URL of a real server whose answers are dated so."""

    class Handler(BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return date

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
