"""How quickly a full queue says no: 300 clients at once against one serve with a queue of 100.

`python -m benchmarks.refusals [--rounds 5]`. Two times are printed: the server's, from arrival to its event,
and the client's, from a request's last byte to the answer's first, with all clients in one process beside the server.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.flood import flood
from benchmarks.overhead import program, wait_until_ready
from llmops.events import RequestEvent
from llmops.events.names import name_of
from llmops.up import free_port

_CLIENTS = 300


def main() -> None:
    """Print one line a round."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    for number in range(parser.parse_args().rounds):
        client, server = measure()
        print(
            f"round {number + 1}: {len(client)} refused; client median {1000 * statistics.median(client):.0f} ms, "
            f"slowest {1000 * max(client):.0f} ms; server median {1000 * statistics.median(server):.2f} ms, "
            f"slowest {1000 * max(server):.1f} ms",
            flush=True,
        )


def measure() -> tuple[list[float], list[float]]:
    """Seconds of every refusal, as the clients and as the server saw them."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        dials = {
            "LLMOPS_STATE__DIRECTORY": folder,
            "LLMOPS_SERVE__PORT": str(port),
            "LLMOPS_ENGINE__KIND": "echo",
            "LLMOPS_ADMISSION__BURST": "1000",
        }
        with program("serve", dials):
            wait_until_ready(f"http://127.0.0.1:{port}")
            answers = flood(port, _CLIENTS, "one two three four five")
        refused = [answer.first_byte_s for answer in answers if answer.status == 503]
        return refused, _durations(Path(folder) / "journal")


def _durations(journal: Path) -> list[float]:
    lines = [json.loads(line) for path in journal.glob("*.jsonl") for line in path.read_text().splitlines()]
    duration = name_of(RequestEvent, "duration_s")
    return [line[duration] for line in lines if line.get("error.type") == "queue_full"]


if __name__ == "__main__":
    main()
