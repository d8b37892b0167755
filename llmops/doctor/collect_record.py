"""Facts of the state directory, the journal, the record and Elasticsearch."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from llmops.doctor.collect_machine import existing
from llmops.doctor.facts import ElasticFacts, FileFacts, StateFacts, StoreFacts
from llmops.settings import Loaded, Settings
from llmops.state.directory import FOLDERS
from llmops.store.checking import look_through
from llmops.store.errors import StoreUnreadable
from llmops.store.segments import look_at
from llmops.store.sql import BadQuery, run_query
from llmops.store.sqlite import open_store

_PROBE_BYTES = 4096
_ANSWER_S = 5.0
_OTHERS, _WORLD = 0o077, 0o007
_SECRETS = frozenset({"api-keys.json", "user-hash.key", "ship/key", "ship/read-key"})
_MOST_FILES = 1000
_HOUR_S = 3600.0


def state_facts(loaded: Loaded) -> StateFacts:
    """Looks at each file, and writes one of a page that it removes again."""
    state = loaded.settings.state
    files = list(_files(state.directory))
    journal = state.directory / "journal"
    there = os.path.lexists(journal)
    return StateFacts(
        directory=state.directory,
        user=os.geteuid(),
        files=(*files, *_config_files(loaded)),
        journal=journal,
        journal_refused=refused_in(journal) if there else None,
        unread=look_at(journal)[1] | _closed(journal) if there else {},
    )


def _files(directory: Path) -> Iterator[FileFacts]:
    """Folders of ours are tried; where there is none yet, its parent is."""
    if not os.path.lexists(directory):
        parent = existing(directory)
        if (refused := refused_in(parent)) is not None:
            yield _facts(parent, any_owner=True, refused=refused)
        return
    yield _facts(directory, refused=refused_in(directory))
    for name in FOLDERS:
        if os.path.lexists(directory / name):  # of the journal more is told by a check of its own
            yield _facts(directory / name, refused=None if name == "journal" else refused_in(directory / name))
    for folder in (directory, directory / "run", directory / "ship"):
        for path in itertools.islice(_plain(folder), _MOST_FILES):
            yield _facts(path, closed_to=_OTHERS if path.relative_to(directory).as_posix() in _SECRETS else 0)


def _plain(folder: Path) -> Iterator[Path]:
    """What is no folder, links included, in the order of their names."""
    with contextlib.suppress(OSError):
        yield from sorted(path for path in folder.iterdir() if path.is_symlink() or not path.is_dir())


def _config_files(loaded: Loaded) -> Iterator[FileFacts]:
    """The file that dials came from, when one of them is a secret: it shows as stars."""
    secret = {origin for _, value, origin, _ in loaded.rows() if value and set(value) <= set("*, ")}
    for origin in secret:
        if os.path.isfile(origin):  # noqa: PTH113
            yield _facts(Path(origin), closed_to=_WORLD, any_owner=True)


def _facts(path: Path, *, closed_to: int = 0, any_owner: bool = False, refused: str | None = None) -> FileFacts:
    is_folder = path.is_dir() and not any_owner
    found = path.stat() if is_folder else path.lstat()
    return FileFacts(
        kind="folder" if is_folder else "link" if stat.S_ISLNK(found.st_mode) and not any_owner else "file",
        path=path,
        mode=stat.S_IMODE(found.st_mode),
        owner=found.st_uid,
        closed_to=closed_to,
        any_owner=any_owner,
        refused=refused,
    )


def refused_in(folder: Path) -> str | None:
    """Why a file can't be written there, in a few words; None when it could."""
    probe = folder / f".doctor-{os.getpid()}"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, bytes(_PROBE_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            probe.unlink()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None


def _closed(journal: Path) -> dict[Path, str]:
    return {path: "Permission denied" for path in journal.glob("*.jsonl") if not os.access(path, os.R_OK)}


def store_facts(path: Path, *, limit_s: float = 10.0) -> StoreFacts:
    """Opens it for reading and looks through it for so long."""
    if not path.exists():
        return StoreFacts(path=path)
    try:
        whole = look_through(path, limit_s=limit_s)
        store = open_store(path, read_only=True)
        try:
            return StoreFacts(path=path, events=sum(store.totals().values()), looked_at_all=whole)
        finally:
            store.close()
    except (StoreUnreadable, OSError) as error:
        return StoreFacts(path=path, problem=str(error))


def mean_use(path: Path, now: float) -> dict[str, float]:
    """How much each GPU was used over the last hour, 0..1, by its id; nothing where there is no record of it."""
    question = (
        "SELECT device_id, avg(utilization) FROM samples "  # noqa: S608
        f"WHERE at >= {now - _HOUR_S!r} AND device_type = 'gpu' AND utilization IS NOT NULL GROUP BY 1"
    )
    try:
        return dict(run_query(path, question, limit=1000, limit_s=_ANSWER_S).rows)
    except (StoreUnreadable, BadQuery):
        return {}


def elastic_url(loaded: Loaded) -> str | None:
    """Where it is, when anybody here uses it: a dial says where or who we are, or something was shipped."""
    named = any(f"elastic.{name}" in loaded.origins for name in ("url", "api_key", "password"))
    return loaded.settings.elastic.url if named or loaded.settings.state.ship.exists() else None


def elastic_facts(settings: Settings) -> ElasticFacts:
    """Asks its version with our login."""
    from llmops.elastic.client import connect, plain_words
    from llmops.elastic.errors import ElasticProblem

    url = settings.elastic.url
    dials = settings.elastic.model_copy(update={"timeout_s": min(_ANSWER_S, settings.elastic.timeout_s)})
    try:
        with connect(dials, settings.state.ship) as client, plain_words(client):
            told = client.info().body
        return ElasticFacts(url=url, version=str(told["version"]["number"]))
    except ElasticProblem as error:
        return ElasticFacts(url=url, slug=error.slug, problem=str(error))
    except (KeyError, TypeError):
        why = f"What answers at {url} is not Elasticsearch: check elastic.url."
        return ElasticFacts(url=url, slug="elastic_product", problem=why)
