"""Memory, disk, port and clock of the machine."""

from __future__ import annotations

import shlex

from llmops.doctor.facts import ClockFacts, DiskFacts, MemoryFacts, PortFacts
from llmops.doctor.finding import Finding, error, ok, warning

MEMORY, DISK, PORT, CLOCK = "memory", "disk", "port", "clock"
GIB = 1 << 30
LEAST_BYTES, LOW_BYTES = GIB // 2, 2 * GIB
"""Of memory available: below the first the kernel kills before long, below the second a small model hardly loads."""
SKEW_S = 2.0
"""A Date header has whole seconds; windows of the objectives are a minute at least."""
_TAKEN, _DENIED, _NO_ADDRESS = "EADDRINUSE", "EACCES", "EADDRNOTAVAIL"


def check_memory(memory: MemoryFacts) -> Finding:
    """What is available, the page cache counted as free."""
    told = f"{memory.available_bytes / GIB:.1f} of {memory.total_bytes / GIB:.1f} GiB of memory are available"
    who = "ps -eo pid,rss,comm --sort=-rss | head    # who holds it"
    if memory.available_bytes < LEAST_BYTES:
        return error(MEMORY, f"{told}: the kernel will kill a process soon.", who)
    if memory.available_bytes < LOW_BYTES:
        return warning(MEMORY, f"{told}: a model loads through memory, also onto a GPU.", who)
    return ok(MEMORY, f"{told}.")


def check_disk(disk: DiskFacts, *, fire: float, fire_bytes: int, clear: float, clear_bytes: int) -> Finding:
    """By the limits of the alert disk_space: what fires is an error, what does not clear yet a warning."""
    path = shlex.quote(str(disk.path))
    told = f"{disk.free_bytes / GIB:.1f} of {disk.total_bytes / GIB:.1f} GiB of the disk of {disk.path} are free"
    largest = f"du -xh --max-depth=1 {path} | sort -h | tail"
    if disk.free_files == 0:
        return error(DISK, f"The disk of {disk.path} takes no more files, however small.", f"df -i {path}")
    if disk.free_bytes < max(fire * disk.total_bytes, fire_bytes):
        return error(DISK, f"{told}: soon no event can be written.", largest)
    if disk.free_bytes < max(clear * disk.total_bytes, clear_bytes):
        return warning(DISK, f"{told}: that is little.", largest)
    return ok(DISK, f"{told}.")


def check_port(port: PortFacts) -> Finding:
    """Can serve have its address, or has it already."""
    where = f"{port.host or '*'}:{port.port}"
    if port.is_serve:
        return ok(PORT, f"serve answers at {where}.")
    if port.refused is None:
        return ok(PORT, f"{where} is free for serve." if port.port else "serve takes any free port.")
    if port.refused == _TAKEN:
        who = f" by {port.holder}" if port.holder else ""
        command = (
            f"llmops up --port {port.port + 1 if port.port < 65535 else 0}    # or end what `ss -ltnp` shows there"
        )
        return error(PORT, f"{where} is taken{who}, and it is no llmops serve.", command)
    if port.refused == _DENIED:
        return error(
            PORT, f"This user may not listen at {where}: ports below 1024 are root's.", "llmops up --port 8000"
        )
    if port.refused == _NO_ADDRESS:
        return error(PORT, f"This machine has no address {port.host}.", "llmops up --host 127.0.0.1")
    return error(
        PORT, f"serve can't listen at {where} ({port.refused}): check serve.host.", "llmops up --host 127.0.0.1"
    )


def check_clock(clock: ClockFacts) -> Finding:
    """Against whoever told its time."""
    if not clock.ahead_s:
        return ok(CLOCK, "No server was there to compare the clock with.")
    who, ahead_s = max(clock.ahead_s.items(), key=lambda each: abs(each[1]))
    if abs(ahead_s) > SKEW_S:
        side = "ahead of" if ahead_s > 0 else "behind"
        why = f"The clock of {who} is {abs(ahead_s):.0f} s {side} ours: windows and alerts would miss fresh requests."
        return warning(CLOCK, why, "timedatectl set-ntp true    # on the machine that is wrong; `timedatectl` on both")
    return ok(CLOCK, f"Our clock agrees with {', '.join(clock.ahead_s)}.")
