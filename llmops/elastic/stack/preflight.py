"""What this machine should have before the stack starts; what it lacks is a warning with its fix, never a refusal."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

MAP_COUNT = 1_048_576
"""vm.max_map_count that Elasticsearch's documentation asks for since 8.16; below 262,144 it may not start."""
FULL = 0.85
"""Share of the disk at which Elasticsearch places no more shards (cluster.routing.allocation.disk.watermark.low)."""
MEMORY_BYTES = 5 << 30
"""Sum of the memory limits in docker-compose.elk.yml, rounded up."""
ELASTICSEARCH_PORT, KIBANA_PORT, NGINX_PORT = 9200, 5601, 8080
"""Published by docker-compose.elk.yml; the first two change with ELASTICSEARCH_PORT and KIBANA_PORT in .env."""
_ELSEWHERE = {
    "Elasticsearch": ", or set ELASTICSEARCH_PORT in .env",
    "Kibana": ", or set KIBANA_PORT in .env",
}


def warnings(data: Path, ports: Mapping[int, str], *, proc: Path = Path("/proc")) -> Iterator[str]:
    """One sentence for each thing. data: a folder on the disk of the volumes; ports: who wants which."""
    yield from _map_count(proc / "sys" / "vm" / "max_map_count")
    yield from _memory(proc / "meminfo")
    yield from _disk(data)
    for port, part in ports.items():
        if _is_taken(port):
            yield f"Port {port} is taken, and {part} wants it: stop what listens there{_ELSEWHERE.get(part, '')}."


def _map_count(path: Path) -> Iterator[str]:
    number = int(path.read_text()) if path.exists() else MAP_COUNT
    if number < MAP_COUNT:
        yield f"vm.max_map_count is {number}, too low: `sudo sysctl -w vm.max_map_count={MAP_COUNT}`."


def _memory(path: Path) -> Iterator[str]:
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        if line.startswith("MemAvailable:"):
            available_bytes = int(line.split()[1]) * 1024
            if available_bytes < MEMORY_BYTES:
                yield (
                    f"{available_bytes / 2**30:.1f} GiB of memory are free, the stack may take {MEMORY_BYTES >> 30}: "
                    "a model that needs the rest will be killed."
                )


def _disk(data: Path) -> Iterator[str]:
    folder = next(parent for parent in (data, *data.absolute().parents) if parent.exists())
    usage = shutil.disk_usage(folder)
    share = usage.used / usage.total
    if share > FULL:
        yield (
            f"The disk of {folder} is {100 * share:.0f} % full; at 85 % Elasticsearch places no more shards, "
            "at 95 % it takes no more documents."
        )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
