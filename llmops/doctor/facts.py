"""What the checks look at: plain values, filled by the modules that collect and by nobody else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

Problem: TypeAlias = Literal["library_missing", "driver_not_loaded", "mismatch", "no_permission", "failed"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds memory of a card. `name` is None where this user can't see it; so are unknown bytes."""

    pid: int
    name: str | None
    used_bytes: int | None
    is_ours: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One GPU; None where it does not tell. `links`: of each NVLink, whether it is up."""

    name: str
    id: str = ""
    used_bytes: int | None = None
    total_bytes: int | None = None
    utilization: float | None = None
    capability: tuple[int, int] | None = None
    links: Mapping[int, bool] = dataclasses.field(default_factory=dict)
    holders: tuple[Holder, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """`problem`: why NVML can't be asked. `is_on_bus`: an NVIDIA card is in the machine, whatever the driver says.

    `cuda`: the newest that the driver runs. `peers`: by pair of cards, whether each reads the other's memory.
    """

    problem: Problem | None = None
    told: str = ""
    is_on_bus: bool = False
    driver: str | None = None
    cuda: tuple[int, int] | None = None
    cards: tuple[Card, ...] = ()
    peers: Mapping[tuple[int, int], bool | None] = dataclasses.field(default_factory=dict)
    is_contained: bool = False
    """We stand in a container, where the driver's process numbers may be those of the host."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TorchFacts:
    """`broken`: why it can't be imported. `cuda`: what it was built for, None for a build without."""

    broken: str | None = None
    version: str = ""
    cuda: str | None = None
    rocm: str | None = None
    cuda_available: bool = False
    architectures: tuple[str, ...] = ()
    complaint: str | None = None
    nccl: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BitsandbytesFacts:
    """`broken`: why it can't be used. `computes`: a block of numbers came back as it went."""

    broken: str | None = None
    version: str = ""
    built_for_cuda: bool = False
    computes: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """Of the machine, or of the container's limit where that is lower."""

    total_bytes: int
    available_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """Of the disk that the state directory is, or will be, on."""

    path: Path
    total_bytes: int
    free_bytes: int
    free_files: int | None = None
    """Inodes left; None where the file system has no bound."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PortFacts:
    """`refused`: the symbol of the error when it can't be bound. `is_serve`: an llmops serve answers there."""

    host: str
    port: int
    refused: str | None = None
    is_serve: bool = False
    holder: str | None = None
    """Name and number of the process, where this user may know."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExposureFacts:
    """Who gets in without a key. `is_serve`: one answers. `gets_in`: kinds of requests from elsewhere that it answers.

    `open_proxies`, `guarded_proxies`: those through which it answers, without a key and only with one.
    `running`: names of all proxies and tunnels that run on this machine.
    """

    is_serve: bool = False
    gets_in: tuple[str, ...] = ()
    open_proxies: tuple[str, ...] = ()
    guarded_proxies: tuple[str, ...] = ()
    running: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file or folder of ours. `mode`: permission bits; `refused`: why this user can't write in that folder."""

    path: Path
    mode: int
    owner: int
    closed_to: int = 0
    """Permission bits that nobody may have, because it holds a secret."""
    any_owner: bool = False
    """Whose it is does not matter, as with a file that only is read."""
    refused: str | None = None
    kind: Literal["file", "folder", "link"] = "file"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StateFacts:
    """The state directory and what is in it; `user`: who we are. `journal_refused`: why no event can be written."""

    directory: Path
    user: int
    files: tuple[FileFacts, ...] = ()
    journal: Path = Path()
    journal_refused: str | None = None
    unread: Mapping[Path, str] = dataclasses.field(default_factory=dict)
    """Journal files that can't be read, and why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """`problem`: why the record can't be used, as a sentence; `events`: how many it holds; None where there is none."""

    path: Path
    problem: str | None = None
    events: int | None = None
    looked_at_all: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ElasticFacts:
    """`problem`: why it can't be used, as a sentence, with its slug."""

    url: str
    version: str | None = None
    slug: str | None = None
    problem: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClockFacts:
    """By who was asked, the least that its clock is ahead of ours, in seconds; what the way took is taken off."""

    ahead_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
