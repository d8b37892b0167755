"""Is each request recorded once? serve, watch and ship die by `kill -9`, and the disk fills and empties meanwhile.

`python -m benchmarks.losses --elastic URL [--kills 25] [--seed 1] [--disk-mib 48] [--no-full-disk] [--minutes 15]`,
with the echo engine, clients that stream, and a real Elasticsearch, in which it installs the templates. The state
directory is a small file system of its own where this user may mount one; a file fills it every few seconds.

What must hold, else the exit code is 1: journal, SQLite and Elasticsearch have the same events, the last two have each
once; an answer that a client read to its end has its event, unless it ended on a full disk and its serve was killed
before there was room again; a serve that lives loses none; on a full disk the snapshot, the metric and the alert
`journal_full` say so. Exit code 2: it can't be run.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.loss_run import LossRun, Verdict
from benchmarks.small_disk import SmallDisk
from llmops.elastic.errors import ElasticProblem


def main() -> None:
    """Print what was counted, and the verdict."""
    arguments = _arguments()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, SmallDisk(Path(folder), arguments.disk_mib) as disk:
        if not disk.is_mounted and not arguments.no_full_disk:
            print("this user may not mount a small disk: kills alone")
        fills = disk.is_mounted and not arguments.no_full_disk
        run = LossRun(disk, arguments.elastic, random.Random(arguments.seed), fills=fills)
        try:
            run.begin()
            for number in range(arguments.kills):
                if time.monotonic() - began > 60 * arguments.minutes:
                    print(f"after {arguments.minutes} minutes: {number} kills of {arguments.kills}")
                    break
                run.kill()
                if (number + 1) % 5 == 0:
                    print(f"{number + 1} kills, {time.monotonic() - began:.0f} s", flush=True)
            verdict = run.end()
        except ElasticProblem as problem:
            print(problem, file=sys.stderr)
            sys.exit(2)
        finally:
            run.abandon()
    _print(verdict)
    sys.exit(not verdict.holds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--elastic", required=True, help="URL of an Elasticsearch that may be written to")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--disk-mib", type=int, default=48)
    parser.add_argument("--no-full-disk", action="store_true", help="kills alone")
    parser.add_argument("--minutes", type=float, default=15.0, help="no further kill after so long")
    return parser.parse_args()


def _print(verdict: Verdict) -> None:
    kills = ", ".join(f"{name} {count}" for name, count in sorted(verdict.kills.items()))
    print(f"killed: {kills}; the disk was full {verdict.times_full} times")
    print(f"journal: {verdict.journal} events, {verdict.repeated} of them more than once")
    print(f"SQLite: {verdict.store} events, integrity {verdict.integrity}")
    print(f"Elasticsearch: {verdict.elastic} events, {verdict.twice} more than once, {verdict.refused} refused")
    print("in the journal alone, in SQLite alone, in Elasticsearch alone:", *verdict.apart)
    print(f"answered requests: {verdict.answered}, {verdict.unrecorded} without an event")
    print(f"  of these {verdict.excused} ended on a full disk before a kill, {verdict.unexcused} did not")
    for complaint in verdict.complaints:
        print(f"broken promise: {complaint}")
    print("holds" if verdict.holds else "DOES NOT HOLD")


if __name__ == "__main__":
    main()
