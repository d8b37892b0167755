"""serve and watch are killed at random moments while clients ask and a reader follows; then the record is compared."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import httpx

from tests.route.processes import Box, until

CLIENTS = 3
_LONGEST_LIFE_S = {"serve": 4.0, "watch": 2.0}
"""From its start to its kill: some die before they are ready."""


@dataclasses.dataclass(kw_only=True)
class Verdict:
    """What was counted. `answered`: requests with a whole answer; `unrecorded`: of them without an event."""

    kills: Counter[str]
    answered: int
    unrecorded: int
    journal: int
    store: int
    files: int
    repeated: int
    torn: list[str]
    differing: int
    strangers: int
    integrity: str

    @property
    def holds(self) -> bool:
        """No torn line, nothing twice, nothing in one that is not in the other, ever."""
        clean = not (self.torn or self.repeated or self.differing or self.strangers)
        return clean and self.integrity == "ok" and self.journal > 0


class Reader(threading.Thread):
    """As naive as a reader may be: each whole line of each file must be an event, from the moment that it is there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._offsets: dict[int, int] = {}
        self.ended = threading.Event()
        self.torn: list[str] = []
        self.ids: Counter[str] = Counter()

    def run(self) -> None:
        while not self.ended.is_set():
            self.look()
            time.sleep(0.005)
        self.look()

    def look(self) -> None:
        for path in self._folder.glob("*.jsonl"):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                self._read(path, file)

    def _read(self, path: Path, file: BinaryIO) -> None:
        inode = os.fstat(file.fileno()).st_ino
        offset = self._offsets.get(inode, 0)
        file.seek(offset)
        chunk = file.read()
        end = chunk.rfind(b"\n") + 1
        for line in chunk[:end].splitlines():
            try:
                self.ids[json.loads(line)["event.id"]] += 1
            except (ValueError, KeyError, TypeError):
                self.torn.append(f"{path.name} after byte {offset}: {line[:80]!r}")
        self._offsets[inode] = offset + end


class Clients:
    """They ask one after the other, whatever becomes of it, and remember what was answered whole."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._ended = threading.Event()
        self.answered: set[str] = set()
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10)

    def _ask(self, number: int) -> None:
        asked = 0
        while not self._ended.is_set():
            asked += 1
            name = f"client-{number}-{asked}"
            body = {"messages": [{"role": "user", "content": "one two three"}]}
            try:
                url = f"{self._box.url}/v1/chat/completions"
                answer = httpx.post(url, json=body, headers={"x-request-id": name}, timeout=5)
            except httpx.HTTPError:
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                self.answered.add(name)


class Killing:
    """Two programs, a reader and clients; `kill` ends one of the programs and starts it again."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._rng = rng
        self._folder = folder
        self._box = Box(
            folder,
            events__segment_bytes=50_000,
            gpu__interval_s=0.05,
            watch__interval_s=0.1,
            bench__enabled="false",
            admission__rate_per_s=100_000,
            admission__burst=100_000,
            events__log_level="ERROR",
        )
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._kills: Counter[str] = Counter()
        self._strangers = 0
        self._reader = Reader(folder / "journal")
        self._clients = Clients(self._box)

    def begin(self) -> None:
        for name in ("serve", "watch"):
            self._start(name)
        self._box.until_ready()
        self._reader.start()
        self._clients.start()

    def kill(self) -> str:
        """One of the two, at a random moment of its life."""
        name = self._rng.choice(("serve", "watch"))
        time.sleep(self._rng.uniform(0.0, _LONGEST_LIFE_S[name]))
        program = self._programs[name]
        assert program.poll() is None, f"{name} ended by itself: {self._box.log(name)[-500:]}"
        program.send_signal(signal.SIGKILL)
        program.wait()
        self._kills[name] += 1
        in_store = self._stored()  # before the journal is read: whatever the store has must be there
        self._strangers += len(in_store - self._written().keys())
        self._start(name)
        return name

    def end(self) -> Verdict:
        """Let serve end, let watch catch up, and compare."""
        self._box.until_ready()
        self._clients.end()
        self._stop("serve")
        with contextlib.suppress(AssertionError):  # then the verdict tells by how much
            until(lambda: self._stored() >= self._written().keys(), 20)
        self._stop("watch")
        self._reader.ended.set()
        self._reader.join()
        written, stored = self._written(), self._stored()
        recorded = {each.get("http.request.id") for each in self._box.documents("llmops.request")}
        return Verdict(
            kills=self._kills,
            answered=len(self._clients.answered),
            unrecorded=len(self._clients.answered - recorded),
            journal=len(written),
            store=len(stored),
            files=len(self._names()),
            repeated=sum(count > 1 for count in written.values()),
            torn=self._reader.torn,
            differing=len(written.keys() ^ stored) + len(written.keys() ^ self._reader.ids.keys()),
            strangers=self._strangers,
            integrity=self._integrity(),
        )

    def abandon(self) -> None:
        """Leave no process behind, whatever happened."""
        self._reader.ended.set()
        for program in self._programs.values():
            program.kill()
            program.wait()

    def _start(self, name: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "llmops", name]
            self._programs[name] = subprocess.Popen(command, env=self._box.environment, stdout=log, stderr=log)

    def _stop(self, name: str) -> None:
        self._programs[name].send_signal(signal.SIGTERM)
        self._programs[name].wait(30)

    def _written(self) -> Counter[str]:
        """Every event of the journal. A file that is renamed between its listing and its reading is not missed."""
        while True:
            names = self._names()
            found = Counter(each["event.id"] for each in self._box.documents())
            if self._names() == names:
                return found

    def _names(self) -> set[str]:
        return {path.name for path in (self._folder / "journal").glob("*.jsonl")}

    def _stored(self) -> set[str]:
        with self._database() as database:
            return {row[0] for row in database.execute("SELECT event_id FROM event")} if database else set()

    def _integrity(self) -> str:
        with self._database() as database:
            return str(database.execute("PRAGMA integrity_check").fetchone()[0]) if database else "no store"

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection | None]:
        path = self._folder / "llmops.sqlite"
        if not path.exists():
            yield None
            return
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)) as database:
            yield database
