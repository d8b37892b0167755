"""The stand-in for NVIDIA's library: compiled once, loaded by the real binding, scripted by a file.

The binding asks the loader for `libnvidia-ml.so.1`; a library of that name which the process has already loaded is the
one it gets. Processes that are started find it by `environment`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

NAME = "libnvidia-ml.so.1"
NO_COMPILER = "no C compiler (cc or gcc): the driver's stand-in can't be built, so NVML is not tested"
_VARIABLE = "STANDIN_NVML"
_GIB = 1 << 30


class Driver:
    """What the library says, changed by item: `driver[0, "temperature"] = 91`; deleted: not supported."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._library = library
        self._path = folder / "nvml.txt"
        self._version = 1
        self._lines: dict[str, Any] = {"driver": 1, "cards": 0, "driver.version": "575.57", "nvml.version": "12.575.57"}
        self._lines["cuda.version"] = 12090
        self._write()

    @property
    def environment(self) -> dict[str, str]:
        """With which a process of its own has this driver."""
        return {"LD_LIBRARY_PATH": str(self._library.parent), _VARIABLE: str(self._path)}

    def add(self) -> int:
        """One more card that tells everything; its number."""
        number = int(self._lines["cards"])
        self._lines |= {f"{number}.{name}": value for name, value in card(number).items()}
        self._lines["cards"] = number + 1
        self._write()
        return number

    def __setitem__(self, name: str | tuple[int, str], value: Any) -> None:
        self._lines[_key(name)] = value
        self._write()

    def __delitem__(self, name: str | tuple[int, str]) -> None:
        del self._lines[_key(name)]
        self._write()

    def calls(self, function: str) -> int:
        """How often this process has called it."""
        return int(_loaded(self._library).standin_calls(function.encode()))

    def _write(self) -> None:
        """Whole or not at all, and newer each time, which the library takes as a sign to read it."""
        draft = self._path.with_suffix(".new")
        draft.write_text("".join(f"{name} {value}\n" for name, value in self._lines.items()), encoding="ascii")
        self._version += 1
        os.utime(draft, ns=(self._version, self._version))
        draft.replace(self._path)


def card(number: int) -> dict[str, Any]:
    """A card that tells everything."""
    return {
        "uuid": f"GPU-{number}",
        "name": f"NVIDIA Test {number} 12GB",
        "memory.used": 3 * _GIB,
        "memory.total": 12 * _GIB,
        "utilization.gpu": 50,
        "utilization.memory": 25,
        "power": 150_000,
        "power.limit": 200_000,
        "energy": 7_000,
        "temperature": 61,
        "clock.sm": 1900,
        "clock.memory": 9000,
        "max.sm": 2500,
        "max.memory": 10_501,
        "bus": 192,
        "pcie.lanes": 16,
        "pcie.generation": 4,
        "reasons": 0x1 | 0x4 | 0x40,
        "ecc.corrected": 5,
        "ecc.uncorrected": 1,
        "pcie.tx": 1_000_000,
        "pcie.rx": 2_000_000,
        "link0": 1,
        "link1": 0,
        "link2": 1,
        "mig": 0,
        "peer": 0,
        "capability": 89,
        "xids": "-",
    }


def compiled(folder: Path) -> Path:
    """The library in this folder. Skips where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip(NO_COMPILER)
    library = folder / NAME
    source = Path(__file__).with_name("standin.c")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-Wl,-soname,{NAME}"]
    subprocess.run([compiler, *flags, "-o", str(library), str(source)], check=True)
    return library


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in for NVIDIA's library."""
    return compiled(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def driver(nvml_library: Path, tmp_path: Path) -> Iterator[Driver]:
    """In this process, without a card at first; the test adds them."""
    with in_this_process(nvml_library, tmp_path) as scripted:
        yield scripted


@contextlib.contextmanager
def in_this_process(library: Path, folder: Path) -> Iterator[Driver]:
    """The driver, while the block lasts; then there is none again. Skips where a real one was loaded before."""
    loaded = _loaded(library)
    if pynvml.nvmlLib is not None and not hasattr(pynvml.nvmlLib, "standin_begin"):
        pytest.skip("this process has loaded NVIDIA's own library")
    loaded.standin_begin()
    scripted = Driver(library, folder)
    os.environ |= {_VARIABLE: scripted.environment[_VARIABLE]}
    try:
        yield scripted
    finally:
        del os.environ[_VARIABLE]
        loaded.standin_begin()


def _loaded(library: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(library))


def _key(name: str | tuple[int, str]) -> str:
    return name if isinstance(name, str) else f"{name[0]}.{name[1]}"
