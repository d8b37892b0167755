"""Facts of the machine: memory, disk, who has the port, what the clocks of others show."""

from __future__ import annotations

import contextlib
import email.utils
import errno
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import psutil

from llmops.client import RequestRefused, ServeUnreachable, fetch_snapshot
from llmops.doctor.facts import ClockFacts, DiskFacts, MemoryFacts, PortFacts
from llmops.gpu.host import memory_bytes
from llmops.settings import Settings

_ANSWER_S = 3.0
_CGROUP = Path("/sys/fs/cgroup")


def memory_facts(cgroup: Path = _CGROUP) -> MemoryFacts:
    """Of the machine, or what the container may still take where that is less."""
    total, available = memory_bytes(cgroup)
    return MemoryFacts(total_bytes=total, available_bytes=available)


def disk_facts(directory: Path) -> DiskFacts:
    """Of the nearest folder that exists."""
    path = existing(directory)
    usage, system = shutil.disk_usage(path), os.statvfs(path)
    return DiskFacts(
        path=directory,
        total_bytes=usage.total,
        free_bytes=usage.free,
        free_files=system.f_favail if system.f_files else None,
    )


def existing(path: Path) -> Path:
    """The path, or the nearest parent that is there."""
    absolute = path.absolute()
    return next(each for each in (absolute, *absolute.parents) if os.path.lexists(each))


def port_facts(settings: Settings) -> PortFacts:
    """Tries to have the address as serve would; if that fails, looks who has it."""
    host, port = settings.serve.host, settings.serve.port
    refused = _refused(host, port)
    if refused is None or port == 0:
        return PortFacts(host=host, port=port, refused=refused)
    if _is_serve(settings.serve.url, settings.watch.key):
        return PortFacts(host=host, port=port, refused=refused, is_serve=True)
    return PortFacts(host=host, port=port, refused=refused, holder=_holder(port))


def _refused(host: str, port: int) -> str | None:
    """The symbol of the error; None when the address could be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(1)
    except socket.gaierror:
        return errno.errorcode[errno.EADDRNOTAVAIL]
    except (OSError, UnicodeError, OverflowError) as error:
        return errno.errorcode.get(getattr(error, "errno", None) or 0, str(error))
    return None


def _is_serve(url: str, api_key: str | None) -> bool:
    try:
        fetch_snapshot(url, timeout_s=_ANSWER_S, api_key=api_key)
    except RequestRefused as error:
        return error.status in (401, 403)
    except ServeUnreachable:
        return False
    return True


def _holder(port: int) -> str | None:
    with contextlib.suppress(psutil.Error, OSError):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr[1:] == (port,) and each.pid is not None:
                return f"{psutil.Process(each.pid).name()} ({each.pid})"
    return None


def clock_facts(settings: Settings, elastic_url: str | None, clock: Callable[[], float] = time.time) -> ClockFacts:
    """Asks serve, and the Date header of whoever else the dials name; who does not answer is left out."""
    ahead_s: dict[str, float] = {}
    serve_url = settings.watch.serve_url or settings.serve.url
    sent_at = clock()
    with contextlib.suppress(ServeUnreachable, RequestRefused):
        at = fetch_snapshot(serve_url, timeout_s=_ANSWER_S, api_key=settings.watch.key).at
        ahead_s["serve"] = ahead(at, at, sent_at, clock())
    others = {"Elasticsearch": elastic_url}
    if settings.engine.kind == "upstream":
        others["the upstream"] = settings.engine.upstream_url
    for who, url in others.items():
        if url is not None and (found := _from_date(url, clock)) is not None:
            ahead_s[who] = found
    return ClockFacts(ahead_s=ahead_s)


def _from_date(url: str, clock: Callable[[], float]) -> float | None:
    sent_at = clock()
    try:  # only the header counts: who signed the certificate is another check's matter
        with httpx.Client(trust_env=False, verify=False, timeout=_ANSWER_S) as http:  # noqa: S501
            headers: Mapping[str, str] = http.head(url).headers
        shown = email.utils.parsedate_to_datetime(headers["date"]).timestamp()
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
        return None
    return ahead(shown, shown + 1.0, sent_at, clock())


def ahead(earliest: float, latest: float, sent_at: float, came_at: float) -> float:
    """The least that a clock is ahead which showed a time in this span at some moment between the two of ours."""
    if latest < sent_at:
        return latest - sent_at
    return max(0.0, earliest - came_at)
