"""A machine for the doctor to look at: real processes and files, with stand-ins for the libraries that they load."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.shell import doctor as verb
from tests.gpu.driver import Driver
from tests.listening import QuietHandler, listening

GIB = 1 << 30

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
    """One card; driver and libraries can be changed before the doctor comes."""

    def __init__(
        self, folder: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.driver = driver
        driver["driver.version"], driver["cuda.version"] = "570.86", 12080
        self.add_card()
        self.state = folder / "state"
        self.work = folder / "work"
        self.work.mkdir()
        self._libraries = folder / "libraries"
        self._capsys = capsys
        self.patch = monkeypatch
        self.library("torch", TORCH)
        self.library("bitsandbytes/__init__", BITSANDBYTES)
        self.library("bitsandbytes/cextension", "class lib:\n    compiled_with_cuda = True\n")
        self.library(
            "bitsandbytes/functional", "quantize_4bit = lambda x, **_: (x, 0)\ndequantize_4bit = lambda x, _: x\n"
        )
        monkeypatch.chdir(self.work)
        for name, value in {**driver.environment, "PYTHONPATH": str(self._libraries)}.items():
            monkeypatch.setenv(name, value)
        self.dial("serve.port", "0")

    def library(self, name: str, text: str) -> None:
        """This is what `import` finds in the processes that the doctor starts."""
        path = self._libraries / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def add_card(self) -> None:
        """An idle one without NVLink."""
        number = self.driver.add()
        self.driver[number, "name"], self.driver[number, "memory.used"] = "NVIDIA Test 12GB", GIB // 4
        self.driver[number, "utilization.gpu"] = 5
        for what in ("link0", "link1", "link2", "peer"):
            del self.driver[number, what]

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

    class Handler(QuietHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return date

        def do_HEAD(self) -> None:  # noqa: N802 -- as http.server calls it
            self.send_response(200)
            self.end_headers()

    with listening(Handler) as url:
        yield url
