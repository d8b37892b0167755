"""The state directory and what is in it: may we write, may others read, is it sound; and where the record is sent."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from llmops.doctor.facts import ElasticFacts, FileFacts, StateFacts, StoreFacts
from llmops.doctor.finding import Finding, error, ok, warning

STATE, SECRETS, JOURNAL, STORE, ELASTIC, DIALS = "state", "permissions", "journal", "store", "elasticsearch", "dials"
MAJOR = "9"
"""Of Elasticsearch: an 8.x server does not know the media types that a 9.x client sends."""


def check_dials(problem: str | None) -> Finding:
    """problem: the sentence about a dial that can't be used; the other checks then look with the defaults."""
    if problem is None:
        return ok(DIALS, "Every dial can be used.")
    return error(
        DIALS,
        f"{problem} Until then no program starts; what follows was looked at with defaults.",
        "llmops config show",
    )


def check_state(state: StateFacts) -> Iterator[Finding]:
    """Folders that we can't write, files of another user, secrets that others may read."""
    faults = [finding for file in state.files if (finding := _file(file, state.user)) is not None]
    yield from faults
    if not faults:
        there = "is ours alone" if state.files else "is not there yet, and can be made"
        yield ok(STATE, f"The state directory {state.directory} {there}.")


def _file(file: FileFacts, user: int) -> Finding | None:
    path = shlex.quote(str(file.path))
    if file.kind == "link":
        why = f"{file.path} is a symbolic link, which no program here follows"
        return error(STATE, f"{why}: replace it by the file itself.", f"ls -l {path}")
    if file.owner != user and not file.any_owner:
        why = f"{file.path} belongs to user {file.owner}, and we are {user}"
        finding = warning if file.owner == 0 and not file.closed_to else error
        return finding(STATE, f"{why}: run every part of llmops as one user.", f'sudo chown "$USER" {path}')
    if (opened := _too_open(file, path)) is not None:
        return opened
    if file.refused is not None:
        why = f"{file.path} can't be written ({file.refused}): nothing is recorded."
        is_denied = file.refused in ("permission denied", "operation not permitted")
        mend = f'sudo chown -R "$USER" {path} && chmod -R u+rwX {path}'
        return error(STATE, why, mend if is_denied else f"df -h {path} && df -i {path}")
    return None


def _too_open(file: FileFacts, path: str) -> Finding | None:
    if file.mode & file.closed_to:
        why = f"{file.path} holds a secret, and others on this machine may read it (mode {file.mode:03o})"
        return error(SECRETS, f"{why}.", f"chmod go-rwx {path}")
    if file.any_owner or not file.mode & 0o002:
        return None
    if file.kind == "folder" and file.mode & 0o1000:
        why = f"Every user of this machine may create files in {file.path} (mode {file.mode:04o})"
        return warning(STATE, f"{why}.", f"chmod o-w {path}")
    why = f"Every user of this machine may change {file.path} (mode {file.mode:04o}): no program starts with it"
    return error(STATE, f"{why}.", f"chmod o-w {path}")


def check_journal(state: StateFacts) -> Iterator[Finding]:
    """Can an event be written, and those there be read."""
    path = shlex.quote(str(state.journal))
    if state.journal_refused is not None:
        why = f"No event can be written to {state.journal} ({state.journal_refused}): nothing is recorded."
        yield error(JOURNAL, why, f"ls -ld {path} && df -h {path}")
    elif not state.unread:
        yield ok(JOURNAL, "Events can be written and read.")
    if state.unread:
        first, reason = next(iter(state.unread.items()))
        more = f" and {len(state.unread) - 1} more" if len(state.unread) > 1 else ""
        yield warning(
            JOURNAL, f"{first}{more} can't be read ({reason.lower()}).", f"chmod u+r {shlex.quote(str(first))}"
        )


def check_store(store: StoreFacts) -> Finding:
    """Is the index sound; none at all is made by watch."""
    if store.problem is not None:
        return error(STORE, store.problem, "llmops watch    # rebuilds it from the journal")
    if store.events is None:
        return ok(STORE, "There is no record yet: `llmops watch` builds it.")
    whole = "" if store.looked_at_all else "; it is large, and only a part was looked through"
    return ok(STORE, f"The record holds {store.events} events and is sound{whole}.")


def check_elastic(elastic: ElasticFacts) -> Finding:
    """Does it answer, and in a version that we speak to."""
    if elastic.problem is not None:
        return error(ELASTIC, elastic.problem, _mend(elastic))
    if elastic.version is None or elastic.version.split(".")[0] != MAJOR:
        why = f"{elastic.url} runs Elasticsearch {elastic.version}, and llmops speaks to {MAJOR}.x: upgrade the server."
        return error(ELASTIC, why, _mend(elastic))
    return ok(ELASTIC, f"{elastic.url} runs Elasticsearch {elastic.version}.")


def _mend(elastic: ElasticFacts) -> str:
    if elastic.slug in ("elastic_login", "elastic_key_expired", "elastic_forbidden"):
        return "llmops elk setup --new-key"
    if elastic.slug in (None, "elastic_version"):
        return "llmops elk up    # a 9.x in containers here; or upgrade that server"
    return f"curl -sS {shlex.quote(elastic.url)}    # what answers there; `llmops config show` has elastic.url"
