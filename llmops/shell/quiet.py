"""`llmops alerts ack|silence|unsilence`: what people say to alerts; a running watch hears it at its next look."""

from __future__ import annotations

import dataclasses
import getpass
import secrets
import sys
import time
from collections.abc import Callable, Sequence

from llmops.alerts.errors import BadMatcher
from llmops.alerts.quiet import Acknowledgement, Orders, Silence, matcher_of
from llmops.quietfile import QuietFile
from llmops.settings import Settings
from llmops.shell import standing
from llmops.shell.alerts import clock
from llmops.shell.tabular import print_json
from llmops.store.errors import StoreUnreadable
from llmops.store.filtering import duration_s
from llmops.untrusted import safe_line

_LONGEST = 200


def acknowledge(settings: Settings, name: str, *, comment: str, as_json: bool) -> int:
    """Take on an alert that is pending or firing; 2 when there is none of that name."""
    now = time.time()
    with standing.told():
        with standing.record(settings) as store:
            alert = standing.the_one(standing.known(settings, store)[0], name)
        taken = Acknowledgement(
            fingerprint=alert.state.finding.fingerprint,
            started=alert.state.started,
            at=now,
            author=_author(),
            comment=safe_line(comment, _LONGEST),
        )
        _change(settings, now, lambda orders: orders.with_acknowledgement(taken))
    if as_json:
        print_json(dataclasses.asdict(taken))
    else:
        _say(f"{alert.state.finding.rule_id} is yours, {taken.author}: it is not told again until it ends.")
    return 0


def silence(settings: Settings, matchers: Sequence[str], *, duration: str, comment: str, as_json: bool) -> int:
    """Keep quiet what all matchers match; one of the same matchers that counts already is made longer."""
    now = time.time()
    with standing.told():
        lasts_s = duration_s(duration)
        if not lasts_s or not 0 < lasts_s <= 366 * 86400:
            raise BadMatcher(f"--for is {duration!r}: say how long, from 1s to 366d, as in 30m, 2h or 7d.")
        asked = Silence(
            id=secrets.token_hex(3),
            matchers=tuple(matcher_of(each if "=" in each else f"rule={each}") for each in matchers),
            starts=now,
            ends=now + lasts_s,
            author=_author(),
            comment=safe_line(comment, _LONGEST),
        )
        kept, is_longer = asked, False

        def add(orders: Orders) -> Orders:
            nonlocal kept, is_longer
            after, kept, is_longer = orders.with_silence(asked)
            return after

        _change(settings, now, add)
    if as_json:
        print_json(dataclasses.asdict(kept) | {"matchers": list(map(str, kept.matchers))})
        return 0
    what = " ".join(map(str, kept.matchers))
    if is_longer:
        _say(f"Silence {kept.id} kept {what} quiet already; it lasts until {clock(kept.ends)} UTC now.")
    else:
        _say(f"Silence {kept.id}: nobody is told of {what} until {clock(kept.ends)} UTC. Sooner: unsilence {kept.id}.")
    return 0


def unsilence(settings: Settings, silence_id: str, *, as_json: bool) -> int:
    """End it now; 1 when no silence of that id counts."""
    now = time.time()
    ended: list[Silence] = []

    def end(orders: Orders) -> Orders:
        ended.extend(each for each in orders.silences if each.id == silence_id and now < each.ends)
        return orders.ended(silence_id, now)

    with standing.told():
        _change(settings, now, end)
    if not ended:
        _say(f"llmops alerts: no silence {silence_id!r} counts now; `llmops alerts list` shows those that do.")
        return 1
    if as_json:
        print_json({"id": silence_id, "ended": now})
    else:
        _say(f"Silence {silence_id} has ended: what still fires is told.")
    return 0


def _change(settings: Settings, now: float, how: Callable[[Orders], Orders]) -> None:
    try:
        with standing.record(settings) as store:
            living = [each.state.finding.fingerprint for each in standing.known(settings, store)[0]]
    except StoreUnreadable:  # nothing is watched yet: a silence may come first
        living = []
    QuietFile(settings.state.directory).change(lambda orders: how(orders.without_old(now, living)))


def _author() -> str:
    try:
        return safe_line(getpass.getuser(), 64)
    except (KeyError, OSError):
        return "unknown"


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)
