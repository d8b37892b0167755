"""Does the record survive `kill -9`: serve and watch die at random moments, and a reader looks on all the time.

`python -m benchmarks.killing [--times 50] [--seed 1]`, with the echo engine. Each kill hits serve up to 4 s after its
start, or watch up to 2 s after, so that some die before they are ready; files rotate at 50 kB. Exit code 1: a reader
saw a torn line, an event stands twice in the journal, or SQLite and the journal differ.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.route.kills import Killing, Verdict


def main() -> None:
    """Print what was counted, and the verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        killing = Killing(Path(folder), random.Random(arguments.seed))
        try:
            killing.begin()
            for number in range(arguments.times):
                killing.kill()
                if (number + 1) % 10 == 0:
                    print(f"{number + 1} kills, {time.monotonic() - began:.0f} s", flush=True)
            verdict = killing.end()
        finally:
            killing.abandon()
    _print(verdict)
    sys.exit(not verdict.holds)


def _print(verdict: Verdict) -> None:
    kills = ", ".join(f"{name} {count}" for name, count in sorted(verdict.kills.items()))
    print(f"killed: {kills}")
    print(f"journal: {verdict.journal} events in {verdict.files} files, {verdict.repeated} of them more than once")
    print(f"SQLite: {verdict.store} events, integrity {verdict.integrity}")
    print(f"in one and not in the other: {verdict.differing} at the end, {verdict.strangers} after any kill")
    print(f"torn lines seen by the reader: {len(verdict.torn)}", *verdict.torn[:5], sep="\n  ")
    print(f"answered requests: {verdict.answered}, {verdict.unrecorded} of them died with serve before their event")
    print("holds" if verdict.holds else "DOES NOT HOLD")


if __name__ == "__main__":
    main()
