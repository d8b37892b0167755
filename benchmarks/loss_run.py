"""One run of kills and full disks: the programs, the clients, what happened when, and the comparison at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.small_disk import SmallDisk
from benchmarks.whole_answers import Clients
from llmops.client import ServeUnreachable, fetch_snapshot
from llmops.elastic.check import occurrences, refresh
from llmops.elastic.client import connect
from llmops.elastic.dead_letters import FILE as DEAD_LETTERS
from llmops.elastic.dead_letters import read_dead_letters
from llmops.elastic.setup import prepare
from llmops.elastic.streams import EVENT_STREAMS, stream_of
from llmops.settings import ElasticSettings
from tests.notifiers.servers import receiver
from tests.route.processes import Box

PROGRAMS = ("serve", "watch", "ship")
_LONGEST_LIFE_S = {"serve": 8.0, "watch": 4.0, "ship": 4.0}
"""From its start to its kill: some die before they are ready."""
_AGAIN_S = 2.5
"""Room again for so long, and what waited in memory is written: it is tried every second."""
_PATIENCE_S = 90.0
_IDS = 5_000


@dataclasses.dataclass(kw_only=True)
class Verdict:
    """What was counted. `apart`: events that only one of journal, SQLite and Elasticsearch has, or that it lacks."""

    kills: Counter[str]
    times_full: int
    journal: int
    repeated: int
    store: int
    integrity: str
    elastic: int
    twice: int
    refused: int
    apart: tuple[int, int, int]
    answered: int
    unrecorded: int
    excused: int
    complaints: list[str]

    @property
    def unexcused(self) -> int:
        """Answers without an event for which a full disk and a kill are no reason."""
        return self.unrecorded - self.excused

    @property
    def holds(self) -> bool:
        """All that the program promises."""
        agree = not (any(self.apart) or self.twice or self.refused) and self.integrity == "ok"
        return agree and not self.unexcused and not self.complaints and self.journal > 0 and self.answered > 0


class LossRun:
    """`kill` ends one of the three programs and starts it again; the disk takes its turns meanwhile."""

    def __init__(self, disk: SmallDisk, elastic_url: str, rng: random.Random, *, fills: bool) -> None:
        self._disk = disk
        self._rng = rng
        self._fills = fills
        self._namespace = f"losses{uuid.uuid4().hex[:8]}"
        self._elastic = ElasticSettings(url=elastic_url)
        self._resources = contextlib.ExitStack()
        self._hook = self._resources.enter_context(receiver(200))
        self._box = Box(
            disk.folder,
            watch__webhook_url=self._hook.url,
            events__namespace=self._namespace,
            events__segment_bytes=100_000,
            events__log_level="ERROR",
            gpu__interval_s=0.5,
            watch__interval_s=0.25,
            bench__enabled="false",
            elastic__url=elastic_url,
            elastic__poll_s=0.2,
            elastic__longest_wait_s=1.0,
            admission__rate_per_s=100_000,
            admission__burst=100_000,
        )
        self._logs = disk.folder.parent
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._kills: Counter[str] = Counter()
        self._killed_at: list[float] = []
        self._clients = Clients(self._box)
        self._complaints: list[str] = []

    def begin(self) -> None:
        with connect(self._elastic) as client:
            list(prepare(client, {}))
        for name in PROGRAMS:
            self._start(name)
        self._box.until_ready()
        self._clients.start()
        if self._fills:
            self._disk.take_turns(self._rng)

    def kill(self) -> None:
        """One of the three, at a random moment of its life. One that ended by itself is noted, and started again."""
        name = self._rng.choice(PROGRAMS)
        time.sleep(self._rng.uniform(0.0, _LONGEST_LIFE_S[name]))
        program = self._programs[name]
        if program.poll() is not None:
            self._complain(f"{name} ended by itself with {program.returncode}: {self._log(name)}")
        program.send_signal(signal.SIGKILL)
        program.wait()
        if name == "serve":
            self._killed_at.append(time.monotonic())
        self._kills[name] += 1
        self._start(name)

    def end(self) -> Verdict:
        """Room for good, the last promise, a clean end of serve; then watch and ship catch up, and all is compared."""
        self._disk.end()
        for name, program in self._programs.items():
            if program.poll() is not None:
                self._complain(f"{name} ended by itself with {program.returncode}: {self._log(name)}")
                self._start(name)
        self._box.until_ready()
        if self._fills:
            self._check_a_serve_that_lives()
        self._clients.end()
        self._stop("serve")
        self._wait(lambda: self._stored() >= self._written().keys(), "watch did not take in all of the journal")
        self._stop("watch")
        self._wait(lambda: len(self._shipped()) >= len(self._written()), "ship did not send all of the journal")
        self._stop("ship")
        return self._compare()

    def abandon(self) -> None:
        """Leave no process behind, whatever happened."""
        for program in self._programs.values():
            program.kill()
            program.wait()
        self._resources.close()

    def _told(self, rule_id: str) -> str:
        """What people heard last of this rule; it may fire since before a kill."""
        actions = [
            each["action"] for body in list(self._hook.bodies) for each in body["alerts"] if each["rule_id"] == rule_id
        ]
        return actions[-1] if actions else ""

    def _check_a_serve_that_lives(self) -> None:
        """A full disk and no kill: it is told, nothing is lost, and what waits is written once there is room."""
        self._disk.fill()
        names = [f"patient-{number}" for number in range(40)]
        whole = [self._clients.ask(name, is_stream=bool(number % 2)) for number, name in enumerate(names)]
        if not all(whole):
            self._complain(f"on a full disk {whole.count(False)} of {len(whole)} requests were not answered")
        self._wait(lambda: fetch_snapshot(self._box.url).events_trouble, "the snapshot did not tell of the full disk")
        if "\nllmops_events_waiting 0.0\n" in httpx.get(f"{self._box.url}/metrics", trust_env=False).text:
            self._complain("the metric does not count what waits")
        self._wait(lambda: self._told("journal_full") in ("firing", "repeat"), "nobody was told of journal_full")
        self._disk.empty()
        self._wait(lambda: fetch_snapshot(self._box.url).events_waiting < 5, "what waited was not written")
        if lost := fetch_snapshot(self._box.url).events_dropped:
            self._complain(f"serve lost {lost} events though it was not killed")

    def _compare(self) -> Verdict:
        written, stored, shipped = self._written(), self._stored(), self._shipped()
        recorded = {each.get("http.request.id") for each in self._box.documents("llmops.request")}
        unrecorded = {name: at for name, at in self._clients.answered.items() if name not in recorded}
        everywhere = written.keys() | stored | shipped.keys()
        return Verdict(
            kills=self._kills,
            times_full=len(self._disk.spells),
            journal=len(written),
            repeated=sum(count > 1 for count in written.values()),
            store=len(stored),
            integrity=self._integrity(),
            elastic=len(shipped),
            twice=sum(count > 1 for count in shipped.values()),
            refused=len(list(read_dead_letters(self._disk.folder / "ship" / DEAD_LETTERS))),
            apart=(len(everywhere - written.keys()), len(everywhere - stored), len(everywhere - shipped.keys())),
            answered=len(self._clients.answered),
            unrecorded=len(unrecorded),
            excused=sum(self._is_excused(at) for at in unrecorded.values()),
            complaints=self._complaints,
        )

    def _is_excused(self, answered_at: float) -> bool:
        """It ended while there was no room, and its serve was killed before there was room again."""
        spells = [(since, until + _AGAIN_S) for since, until in self._disk.spells]
        kills = [at for at in self._killed_at if at >= answered_at]
        return any(since <= answered_at and any(at <= until for at in kills) for since, until in spells)

    def _written(self) -> Counter[str]:
        """Every event of the journal. A file that is renamed between its listing and its reading is not missed."""
        folder, names = self._disk.folder / "journal", set[Path]()
        found: Counter[str] = Counter()
        while names != (names := set(folder.glob("*.jsonl"))):
            found = Counter(each["event.id"] for each in self._box.documents())
        return found

    def _shipped(self) -> Counter[str]:
        """How often Elasticsearch has each event of the journal; those that the journal lacks count under one name."""
        ids: dict[str, set[str]] = {}
        for each in self._box.documents():
            if stream := stream_of(each["event.dataset"]):
                ids.setdefault(stream.name(self._namespace), set()).add(each["event.id"])
        found: Counter[str] = Counter()
        with connect(self._elastic) as client:
            refresh(client)
            for stream_name, wanted in ids.items():
                ranked = sorted(wanted)
                for first in range(0, len(ranked), _IDS):
                    found.update(occurrences(client, stream_name, ranked[first : first + _IDS]))
            names = ",".join(stream.name(self._namespace) for stream in EVENT_STREAMS)
            total = int(client.count(index=names, ignore_unavailable=True).body["count"])
        return found + Counter({"not in the journal": total - found.total()})

    def _stored(self) -> set[str]:
        path = self._disk.folder / "llmops.sqlite"
        with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(_opened(path)) as database:
            return {row[0] for row in database.execute("SELECT event_id FROM event")}
        return set()

    def _integrity(self) -> str:
        try:
            with contextlib.closing(_opened(self._disk.folder / "llmops.sqlite")) as database:
                return str(database.execute("PRAGMA integrity_check").fetchone()[0])
        except sqlite3.Error as error:
            return str(error)

    def _start(self, name: str) -> None:
        with (self._logs / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "llmops", name]
            self._programs[name] = subprocess.Popen(command, env=self._box.environment, stdout=log, stderr=log)

    def _stop(self, name: str) -> None:
        self._programs[name].send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._programs[name].wait(60)
            return
        self._complain(f"{name} did not end within a minute of SIGTERM")

    def _wait(self, condition: Callable[[], object], complaint: str, within_s: float = _PATIENCE_S) -> None:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            with contextlib.suppress(ServeUnreachable, httpx.HTTPError, subprocess.TimeoutExpired):
                if condition():
                    return
            time.sleep(0.2)
        self._complain(f"{complaint} within {within_s:.0f} s")

    def _complain(self, sentence: str) -> None:
        self._complaints.append(sentence)

    def _log(self, name: str) -> str:
        return (self._logs / f"{name}.log").read_text(errors="replace")[-600:]


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
