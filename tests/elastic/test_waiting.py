"""What is waited for and what ends `llmops ship`: blocks, closed indices, full mappings, proxies, logins."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmops.elastic.bulk import Outcome, _answer, known, send
from llmops.elastic.client import connect
from llmops.elastic.delivery import Stopped
from llmops.elastic.errors import ElasticProblem
from llmops.elastic.journal import read_line
from llmops.elastic.report import ShipReport
from llmops.elastic.streams import REQUESTS
from llmops.settings import ElasticSettings
from llmops.shell.ship import follow
from tests.elastic.answering import answering
from tests.elastic.server import ElasticServer
from tests.elastic.shipments import Installation

elastic = pytest.mark.elastic
BLOCKED = {"type": "cluster_block_exception", "reason": "index [x] blocked by: [FORBIDDEN/8/index write (api)];"}
DENIED = {"type": "security_exception", "reason": "action [indices:data/write/bulk] is unauthorized for user [u]"}


class Following:
    """`llmops ship` on a thread of its own."""

    def __init__(self, home: Installation, server: ElasticServer, *, suspicious: bool = False) -> None:
        self.seen: list[tuple[str, str | None]] = []
        self.ended_by: ElasticProblem | None = None
        self._stop = threading.Event()
        self._client = server.connect()
        self.shipper = home.shipper(
            self._client, stop=self._stop, longest_wait_s=0.1, suspicious=suspicious, on_progress=self._note
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _note(self, report: ShipReport) -> None:
        self.seen.append((report.state, report.problem))

    def _run(self) -> None:
        try:
            with contextlib.suppress(Stopped):
                follow(self.shipper, lambda: None, self._stop, 0.05)
        except ElasticProblem as problem:
            self.ended_by = problem

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert self.ended_by is None, self.ended_by
            assert time.monotonic() < deadline, self.seen[-3:]
            time.sleep(0.02)

    def end(self) -> None:
        self._stop.set()
        self._thread.join(30)
        self._client.close()


@pytest.fixture
def home(prepared_elastic: ElasticServer, namespace: str, tmp_path: Path) -> Installation:
    return Installation(tmp_path, prepared_elastic.dials(), namespace)


@contextlib.contextmanager
def following(home: Installation, server: ElasticServer, *, suspicious: bool = False) -> Iterator[Following]:
    made = Following(home, server, suspicious=suspicious)
    try:
        yield made
    finally:
        made.end()


@elastic
@pytest.mark.parametrize("block", ["write", "read_only", "read_only_allow_delete", "read"])
def test_an_index_that_is_blocked_is_waited_for_with_the_reason_until_the_block_is_lifted(
    home: Installation, prepared_elastic: ElasticServer, block: str
) -> None:
    settings = f"{prepared_elastic.url}/{REQUESTS.name(home.namespace)}/_settings"
    home.write([home.request(request_id="first")])
    with following(home, prepared_elastic, suspicious=block == "read") as ship:
        ship.until(lambda: ship.shipper.report.created == 1)
        put = httpx.put(settings, json={f"index.blocks.{block}": True}, auth=prepared_elastic.auth, timeout=30)
        assert put.status_code == 200
        home.write([home.request(request_id="second")])
        ship.until(lambda: ship.shipper.report.problem)
        assert ship.shipper.report.state == "waiting"
        assert "blocked by" in str(ship.shipper.report.problem)
        httpx.put(settings, json={f"index.blocks.{block}": None}, auth=prepared_elastic.auth, timeout=30)
        ship.until(lambda: ship.shipper.report.created == 2)
        ship.until(lambda: ship.seen[-1] == ("up to date", None))
    assert (home.dead_letters(), home.check()) == ([], 0)


@elastic
@pytest.mark.parametrize("block", ["read_only", "read_only_allow_delete"])
def test_a_cluster_that_is_read_only_is_waited_for(
    home: Installation, prepared_elastic: ElasticServer, block: str
) -> None:
    def put(value: bool | None) -> None:
        body = {"persistent": {f"cluster.blocks.{block}": value}}
        url = f"{prepared_elastic.url}/_cluster/settings"
        assert httpx.put(url, json=body, auth=prepared_elastic.auth, timeout=30).status_code == 200

    home.write([home.request(request_id="first")])
    with following(home, prepared_elastic) as ship:
        ship.until(lambda: ship.shipper.report.created == 1)
        put(value=True)
        try:
            home.write([home.request(request_id="second")])
            ship.until(lambda: "accepts nothing until its operator lifts this" in str(ship.shipper.report.problem))
        finally:
            put(value=None)
        ship.until(lambda: ship.shipper.report.created == 2)


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (403, BLOCKED, Outcome.LATER),
        (429, BLOCKED, Outcome.LATER),
        (503, BLOCKED, Outcome.LATER),
        (400, {"type": "index_closed_exception", "reason": "closed"}, Outcome.LATER),
        (503, {"type": "unavailable_shards_exception", "reason": "primary shard is not active"}, Outcome.LATER),
        (507, {"type": "insufficient_storage", "reason": "no room"}, Outcome.LATER),
        (
            400,
            {
                "type": "document_parsing_exception",
                "reason": "[1:46] failed to parse: Limit of total fields [3] has been exceeded",
            },
            Outcome.LATER,
        ),
        (400, {"type": "document_parsing_exception", "reason": "failed to parse field [x]"}, Outcome.REFUSED),
        (413, {"type": "too_large", "reason": "too large"}, Outcome.REFUSED),
    ],
)
def test_an_answer_for_one_document_is_final_only_where_the_document_is_to_blame(
    status: int, error: dict[str, str], outcome: Outcome
) -> None:
    assert _answer({"create": {"status": status, "error": error}}).outcome is outcome


def test_a_403_without_a_block_is_still_a_matter_of_rights() -> None:
    with pytest.raises(ElasticProblem, match="elk setup") as raised:
        _answer({"create": {"status": 403, "error": DENIED}})
    assert not raised.value.passing


def _line() -> Any:
    home = Installation(Path(), Installation.nowhere(), "n")
    return read_line(json.dumps(home.request()).encode(), 0, "n")


@pytest.mark.parametrize(
    ("status", "body", "slug", "is_passing"),
    [
        (403, {"error": BLOCKED, "status": 403}, "elastic_blocked", True),
        (403, {"error": DENIED, "status": 403}, "elastic_forbidden", False),
        (400, {"error": {"type": "index_closed_exception", "reason": "closed"}}, "elastic_blocked", True),
        (408, {}, "elastic_busy", True),
        (503, {"error": {"type": "no_master_block", "reason": "no master"}}, "elastic_busy", True),
        (401, {"error": {"type": "security_exception", "reason": "unable to authenticate"}}, "elastic_login", False),
    ],
)
def test_an_answer_to_a_whole_request_is_passing_or_final(
    status: int, body: dict[str, Any], slug: str, is_passing: bool
) -> None:
    for ask in (send, known):
        with answering(lambda asked: (status, body)) as url, connect(ElasticSettings(url=url)) as client:
            if status == 400 and ask is send:
                body["error"]["root_cause"] = []
            with pytest.raises(ElasticProblem) as raised:
                ask(client, [_line()])
            assert (raised.value.slug, raised.value.passing) == (slug, is_passing)


@pytest.mark.parametrize("status", [502, 504, 520])
def test_the_page_of_a_proxy_that_lost_the_server_is_waited_for_and_told_by_its_title(status: int) -> None:
    page = f"<html><head><title>{status} Bad Gateway</title></head><body>" + "<hr>nginx" * 50 + "</body></html>"
    with answering(lambda asked: (status, page), product=None) as url, connect(ElasticSettings(url=url)) as client:
        for ask in (send, known):
            with pytest.raises(ElasticProblem, match=rf"says {status}: {status} Bad Gateway\.$") as raised:
                ask(client, [_line()])
            assert raised.value.passing


def test_a_proxy_that_answers_404_is_not_taken_for_a_stream_without_documents() -> None:
    with answering(lambda asked: (404, "404 page not found"), product=None) as url:
        with connect(ElasticSettings(url=url)) as client, pytest.raises(ElasticProblem) as raised:
            known(client, [_line()])
        assert raised.value.slug == "elastic_product"


class Scripted:
    """A shipper whose looks end as they are told to, one after the other."""

    def __init__(self, stop: threading.Event, *ends: ElasticProblem | None) -> None:
        self.waited: list[str] = []
        self._stop = stop
        self._ends = list(ends)

    def look(self) -> int:
        if not self._ends:
            self._stop.set()
        elif end := self._ends.pop(0):
            raise end
        return 0

    def wait_for(self, problem: str) -> None:
        self.waited.append(problem)


def test_after_it_has_worked_a_proxy_without_its_server_and_a_login_that_is_rejected_for_a_moment_are_waited_for() -> (
    None
):
    login, product = ElasticProblem("elastic_login", "login"), ElasticProblem("elastic_product", "product")
    stop, now = threading.Event(), [0.0]
    shipper = Scripted(stop, None, product, product, login, None, login)
    follow(shipper, lambda: None, stop, 0.001, lambda: now[0])  # type: ignore[arg-type]
    assert shipper.waited == ["product", "product", "login", "login"]


def test_a_login_that_stays_rejected_ends_it_after_a_minute_and_missing_rights_do_so_at_once() -> None:
    login, now = ElasticProblem("elastic_login", "login"), iter([0.0, 0.0, 30.0, 59.0, 60.0])
    stop = threading.Event()
    shipper = Scripted(stop, None, *[login] * 9)
    with pytest.raises(ElasticProblem, match="login"):
        follow(shipper, lambda: None, stop, 0.001, lambda: next(now))  # type: ignore[arg-type]
    assert len(shipper.waited) == 3
    denied = Scripted(stop, None, ElasticProblem("elastic_forbidden", "denied"))
    with pytest.raises(ElasticProblem, match="denied"):
        follow(denied, lambda: None, stop, 0.001)  # type: ignore[arg-type]


@pytest.mark.parametrize("slug", ["elastic_login", "elastic_product", "elastic_certificate"])
def test_before_it_has_worked_a_wrong_setting_ends_it_at_once(slug: str) -> None:
    stop = threading.Event()

    def prepared() -> None:
        raise ElasticProblem(slug, "wrong")

    with pytest.raises(ElasticProblem, match="wrong"):
        follow(Scripted(stop), prepared, stop, 0.001)  # type: ignore[arg-type]
