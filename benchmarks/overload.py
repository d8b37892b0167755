"""Ten times more than serve can do: does its memory stay flat, does it say no quickly, does whoever is polite notice?

`python -m benchmarks.overload [--engine echo|demo|both] [--seconds 60] [--rounds 3]`. Each ratio compares two phases
that take turns on one serve: 116 requests in the house without and with overload, and a polite user alone, beside a
greedy one who only fills the slots, and beside one who overloads. A machine that slows down slows both. serve and the
clients have cores of their own, half of the machine each: ten times too many requests are work for whoever sends them
too, and on shared cores an answer would be late for that alone. `--shared` measures it like that.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.crowd import Client, Crowd, Served
from benchmarks.overhead import program, wait_until_ready
from llmops.admission.gate import COMPANY_S
from llmops.events import RequestEvent
from llmops.events.names import name_of
from llmops.up import free_port

TIMES = 10
SLOTS = 16
HOUSE = SLOTS + 100
"""As many run, and run or wait, by default."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One kind of request against one kind of engine."""

    name: str
    dials: Mapping[str, str]
    text: str
    more: Mapping[str, object]


LOADS = {
    "echo": Load(name="echo", dials={"LLMOPS_ENGINE__KIND": "echo"}, text="one two three four five", more={}),
    "demo": Load(
        name="demo", dials={}, text="How much VRAM does a 7B model need?", more={"max_tokens": 64, "temperature": 0}
    ),
}


@dataclasses.dataclass(kw_only=True)
class Measured:
    """What one engine did in every phase, by round; resident memory in bytes, once a second of the overload."""

    full: list[list[Served]] = dataclasses.field(default_factory=list)
    overload: list[list[Served]] = dataclasses.field(default_factory=list)
    polite_alone: list[list[Served]] = dataclasses.field(default_factory=list)
    polite_beside_slots: list[list[Served]] = dataclasses.field(default_factory=list)
    polite_beside_overload: list[list[Served]] = dataclasses.field(default_factory=list)
    resident_bytes: list[int] = dataclasses.field(default_factory=list)
    capacity_per_s: float = 0.0
    broken: int = 0
    journal: list[dict[str, object]] = dataclasses.field(default_factory=list)

    @property
    def everything(self) -> list[Served]:
        """Every answer of every phase."""
        phases = (self.full, self.overload, self.polite_alone, self.polite_beside_slots, self.polite_beside_overload)
        return [each for phase in phases for served in phase for each in served]

    @property
    def growth_bytes(self) -> int:
        """Resident memory in the last quarter of the overload over that in its second."""
        seen = self.resident_bytes
        quarter = max(1, len(seen) // 4)
        return int(statistics.median(seen[-quarter:]) - statistics.median(seen[quarter : 2 * quarter] or seen))

    def refusals_s(self) -> tuple[list[float], list[float]]:
        """Seconds of every refusal, as clients saw them and as serve did."""
        duration = name_of(RequestEvent, "duration_s")
        server = [event[duration] for event in self.journal if event.get("error.type") == "queue_full"]
        return [each.first_byte_s for each in self.everything if each.code], [float(str(each)) for each in server]


def main() -> None:
    """Print what was measured, an engine at a time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", choices=[*LOADS, "both"], default="both")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shared", action="store_true", help="serve and the clients on the same cores")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    theirs, ours = (cores, cores) if arguments.shared or not half else (cores[:half], cores[half:])
    for name in LOADS if arguments.engine == "both" else [arguments.engine]:
        os.sched_setaffinity(0, theirs)  # serve inherits it
        report(name, measure(LOADS[name], arguments.seconds, arguments.rounds, ours))


def measure(load: Load, seconds: float, rounds: int, cores: Sequence[int]) -> Measured:
    """Every phase on one serve of its own; the overloads last so long together, as do the other phases.

    cores: of the clients; serve has those that this process began with.
    """
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        dials = {
            "LLMOPS_STATE__DIRECTORY": folder,
            "LLMOPS_SERVE__PORT": str(port),
            "LLMOPS_ADMISSION__RATE_PER_S": "1e6",
            "LLMOPS_ADMISSION__BURST": "1000000",
            **load.dials,
        }
        with program("serve", dials) as process:
            os.sched_setaffinity(0, cores)
            wait_until_ready(f"http://127.0.0.1:{port}")
            crowd, measured = Crowd(port, load.text, **load.more), Measured()
            crowd.run([Client(user="greedy", at_once=4)], min(2.0, seconds))
            for _ in range(rounds):
                _round(crowd, measured, psutil.Process(process.pid), seconds / rounds)
            measured.broken = crowd.broken
        for path in (Path(folder) / "journal").glob("*.jsonl"):
            measured.journal += map(json.loads, path.read_text().splitlines())
    return measured


def _round(crowd: Crowd, measured: Measured, serve: psutil.Process, seconds: float) -> None:
    if measured.full:
        time.sleep(COMPANY_S)  # the polite one has left: who is alone has every slot
    polite, quarter = Client(user="polite", at_once=1), seconds / 4
    measured.full.append(crowd.run([Client(user="greedy", at_once=HOUSE)], seconds))
    if not measured.capacity_per_s:
        answered = sum(each.status == 200 for each in measured.full[0])
        measured.capacity_per_s = answered / _lasted_s(measured.full[0])
    greedy = Client(user="greedy", per_s=TIMES * measured.capacity_per_s)
    measured.overload.append(
        crowd.run([greedy], seconds, lambda: measured.resident_bytes.append(serve.memory_info().rss))
    )
    measured.polite_alone.append(crowd.run([polite], quarter))
    measured.polite_beside_slots.append(crowd.run([Client(user="greedy", at_once=SLOTS), polite], quarter))
    measured.polite_beside_overload.append(crowd.run([greedy, polite], 2 * quarter))


def _lasted_s(served: list[Served]) -> float:
    return max(each.sent_at + each.took_s for each in served) - min(each.sent_at for each in served)


def report(name: str, measured: Measured) -> None:
    """A few lines."""
    statuses = collections.Counter((each.status, each.code) for each in measured.everything)
    print(
        f"{name}: {measured.capacity_per_s:.0f} requests/s at most; answers {dict(statuses)}, {measured.broken} broken"
    )
    seen = measured.resident_bytes
    print(f"  memory: {seen[0] / 1e6:.0f} to {seen[-1] / 1e6:.0f} MB, grew {measured.growth_bytes / 1e6:+.1f} MB")
    client, server = measured.refusals_s()
    print(f"  refused, client: {spread(client)}\n  refused, server: {spread(server)}")
    print(f"  accepted, house full: {spread(accepted(measured.full))}")
    print(f"  accepted, at {TIMES}x:      {spread(accepted(measured.overload))}")
    rounds = f"median of {len(measured.full)} rounds"
    print(f"  P99 at {TIMES}x / house full, {rounds}: {_ratio(measured.overload, measured.full)}")
    alone, slots, over = measured.polite_alone, measured.polite_beside_slots, measured.polite_beside_overload
    for what, phase in (("alone", alone), (f"beside {SLOTS}", slots), (f"at {TIMES}x", over)):
        print(f"  polite, {what}: {spread(accepted(phase, 'polite'))}")
    shared, overloaded = _ratio(slots, alone, "polite", 0.5), _ratio(over, alone, "polite", 0.5)
    print(f"  polite, median: beside {SLOTS} / alone {shared}, at {TIMES}x / alone {overloaded}", flush=True)


def accepted(rounds: list[list[Served]], user: str = "greedy") -> list[float]:
    """Seconds of every answer that this user got, but for those who found the house still filling."""
    found: list[float] = []
    for served in rounds:
        kept = sorted((each.sent_at, each.took_s) for each in served if each.status == 200 and each.user == user)
        found += [took_s for _, took_s in (kept[min(HOUSE, len(kept) // 3) :] if user == "greedy" else kept)]
    return found


def at(share: float, values: list[float]) -> float:
    """The value below which this share of them lies."""
    return sorted(values)[int(share * (len(values) - 1))]


def _ratio(over: list[list[Served]], under: list[list[Served]], user: str = "greedy", share: float = 0.99) -> str:
    """The median of the rounds' ratios, and the lowest and highest."""
    pairs = zip(over, under, strict=True)
    each = sorted(at(share, accepted([above], user)) / at(share, accepted([below], user)) for above, below in pairs)
    return f"{statistics.median(each):.2f} ({each[0]:.2f} to {each[-1]:.2f})"


def spread(values: list[float]) -> str:
    """Median, P99 and the slowest."""
    middle, most, last = (1000 * each for each in (statistics.median(values), at(0.99, values), max(values)))
    return f"median {middle:.1f} ms, P99 {most:.1f}, slowest {last:.1f} ({len(values)})"


if __name__ == "__main__":
    main()
