"""What should not be there, or should not be so: one clear sentence each, nothing lost, the rest goes on."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmops.elastic.bulk import Outcome, _answer, send
from llmops.elastic.client import connect
from llmops.elastic.journal import read_line
from llmops.elastic.keys import make_key
from llmops.elastic.record import ElasticRecord
from llmops.settings import ElasticSettings
from tests.elastic.answering import Asked, answering, self_signed
from tests.elastic.proxy import fault_proxy
from tests.elastic.server import ElasticServer, free_port
from tests.elastic.shipments import Installation

DURATION = "gen_ai.server.request.duration"
elastic = pytest.mark.elastic


@pytest.fixture
def home(prepared_elastic: ElasticServer, namespace: str, tmp_path: Path) -> Installation:
    return Installation(tmp_path, prepared_elastic.dials(), namespace)


@pytest.fixture
def record(prepared_elastic: ElasticServer, namespace: str) -> Iterator[ElasticRecord]:
    made = ElasticRecord(prepared_elastic.connect(), namespace)
    yield made
    made.close()


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@elastic
def test_a_poison_document_is_kept_with_its_reason_and_the_rest_goes_on(
    home: Installation, record: ElasticRecord, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    poison = home.request(request_id="poison") | {DURATION: "long"}
    home.write([home.request(request_id="before"), poison, home.request(request_id="after")])
    assert home.ship() == 1
    record._refresh()
    assert {row.request_id for row in record.requests(limit=9)} == {"before", "after"}
    (letter,) = home.dead_letters()
    assert (letter["event.id"], json.loads(letter["line"])) == (poison["event.id"], poison)
    assert f"failed to parse field [{DURATION}] of type [double]" in letter["reason"]
    assert "1 lines of serve-1.jsonl can't be shipped and are kept in the dead-letter file" in caplog.text
    assert home.ship() == 0, "it is done with"
    assert len(home.dead_letters()) == 1
    assert home.check() == 0
    assert capsys.readouterr().out.split()[-7:] == ["3", "2", "0", "1", "0", "0", "0"]


@elastic
def test_garbage_in_the_middle_of_a_journal_is_kept_and_the_rest_goes_on(
    home: Installation, record: ElasticRecord
) -> None:
    joined = json.dumps(home.request(request_id="saved")).encode()
    home.write([home.request(request_id="before"), b"\x00\xff\xfe garbage \n", b"{}\n", b"\x80" + joined + b"\n"])
    home.write([home.request(request_id="other") | {"event.dataset": "their.thing"}])
    home.write([home.request(request_id="long") | {"event.id": "x" * 600}, home.request(request_id="after")])
    home.write([b'{"@timestamp": "torn'])
    assert home.ship() == 1
    record._refresh()
    assert {row.request_id for row in record.requests(limit=9)} == {"before", "saved", "after"}
    letters = home.dead_letters()
    assert [letter["reason"].split(":")[0] for letter in letters] == [
        "no event",
        "no event",
        "no event",
        "no stream takes the event.dataset 'their.thing'",
        "event.id is longer than 512 bytes",
    ]
    assert letters[0]["line"].encode("utf-8", "surrogateescape") == b"\x00\xff\xfe garbage "


@elastic
def test_a_wrong_password_is_told_and_the_journal_waits(
    home: Installation, prepared_elastic: ElasticServer, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write([home.request()])
    wrong = Installation(home.directory, prepared_elastic.dials(password="wrong"), home.namespace)
    assert wrong.ship() == 2
    assert "does not accept the user and password, or the key, that elastic names" in told(capsys)
    nobody = Installation(home.directory, ElasticSettings(url=prepared_elastic.url), home.namespace)
    assert nobody.ship() == 2
    assert "wants to know who asks: set elastic.api_key, or elastic.username and elastic.password" in told(capsys)
    assert home.ship() == 0
    assert home.check() == 0


@elastic
def test_a_key_that_has_expired_or_may_not_write_is_told(
    home: Installation, prepared_elastic: ElasticServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with prepared_elastic.connect() as client:
        expired = client.security.create_api_key(name="old", expiration="1ms").body["encoded"]
        reader = make_key(client, "reader", {"cluster": ["monitor"]})
    home.write([home.request()])
    url = prepared_elastic.url
    assert Installation(home.directory, dials(url, api_key=expired), home.namespace).ship() == 2
    assert "has expired" in (sentence := told(capsys))
    assert "`llmops elk setup --new-key`" in sentence
    assert Installation(home.directory, dials(url, api_key=reader), home.namespace).ship() == 2
    assert "does not allow this to the user or key that elastic names" in told(capsys)
    assert home.ship() == 0
    assert home.check() == 0


@elastic
def test_a_self_signed_certificate_is_told_with_its_fingerprint_and_pinning_it_is_enough(
    home: Installation, prepared_elastic: ElasticServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = self_signed(tmp_path)
    home.write([home.request()])
    with fault_proxy(prepared_elastic.port, certificate) as proxy:
        secure = prepared_elastic.dials(proxy.url)
        assert Installation(home.directory, secure, home.namespace).ship() == 2
        sentence = told(capsys)
        der = ssl.PEM_cert_to_DER_cert((tmp_path / "certificate.pem").read_text())
        fingerprint = hashlib.sha256(der).hexdigest()
        assert "is signed by nobody that this machine trusts" in sentence
        assert fingerprint in sentence
        wrong = prepared_elastic.dials(proxy.url, fingerprint="00" * 32)
        assert Installation(home.directory, wrong, home.namespace).ship() == 2
        assert "or is not what was pinned" in told(capsys)
        pinned = prepared_elastic.dials(proxy.url, fingerprint=fingerprint)
        assert Installation(home.directory, pinned, home.namespace).ship() == 0
        trusted = prepared_elastic.dials(proxy.url, ca_certs=tmp_path / "certificate.pem")
        assert Installation(home.directory, trusted, home.namespace).check() == 0


@elastic
def test_a_server_without_room_for_another_stream_is_waited_for_and_no_document_is_blamed(
    prepared_elastic: ElasticServer, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Installation(tmp_path, prepared_elastic.dials(longest_wait_s=0.001), namespace)
    home.write([home.request()])
    with prepared_elastic.connect() as client:
        before = client.cluster.get_settings(filter_path="persistent").body.get("persistent", {})
        most = before.get("cluster", {}).get("max_shards_per_node")
        client.cluster.put_settings(persistent={"cluster.max_shards_per_node": 1})
        try:
            assert home.ship() == 2
        finally:
            client.cluster.put_settings(persistent={"cluster.max_shards_per_node": most})
    assert "can't take all documents now: 400: Validation Failed: 1: this action would add" in told(capsys)
    assert home.dead_letters() == []
    assert home.ship() == 0
    assert home.check() == 0


def dials(url: str, **others: Any) -> ElasticSettings:
    return ElasticSettings.model_validate({"url": url, "longest_wait_s": 0.001, **others})


def eight(asked: Asked) -> tuple[int, Any]:
    """As 8.19 answers to the media types of 9.x."""
    if "compatible-with=9" in asked.accept:
        reason = "Invalid media-type value on headers [Accept]"
        return 400, {"error": {"type": "media_type_header_exception", "reason": reason}, "status": 400}
    return 200, {"version": {"number": "8.19.3"}, "tagline": "You Know, for Search"}


def untouched(asked: Asked) -> tuple[int, Any]:
    return 404, {"error": {"type": "resource_not_found_exception", "reason": "index template not found"}, "status": 404}


@pytest.mark.parametrize(
    ("respond", "product", "sentence"),
    [
        (eight, "Elasticsearch", "runs Elasticsearch 8.19.3, and llmops speaks to 9.x: upgrade the server to 9.x"),
        (untouched, "Elasticsearch", "template llmops.request is not installed: run `llmops elk setup` first"),
        (lambda _: (200, {}), None, "is not Elasticsearch: check elastic.url"),
        (lambda _: (404, "<html>nginx</html>"), None, "is not Elasticsearch: check elastic.url"),
        (lambda _: (502, "nginx"), None, "says 502"),
    ],
)
def test_a_server_of_another_kind_is_told(
    respond: Callable[[Asked], tuple[int, Any]],
    product: str | None,
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with answering(respond, product=product) as url:
        home = Installation(tmp_path, dials(url), "default")
        home.write([home.request()])
        assert home.ship() == 2
    assert sentence in told(capsys)
    assert not (tmp_path / "ship" / "checkpoint.json").exists()


def test_a_server_that_is_away_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Installation(tmp_path, dials(f"http://127.0.0.1:{free_port()}"), "default")
    home.write([home.request()])
    for verb in (home.ship, home.check):
        assert verb() == 2
        assert "No Elasticsearch answers at http://127.0.0.1:" in told(capsys)


def test_a_certificate_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Installation(tmp_path, dials("https://127.0.0.1:1", ca_certs=tmp_path / "ca.pem"), "default")
    assert home.ship() == 2
    assert f"elastic.ca_certs names {tmp_path / 'ca.pem'}, which is no file" in told(capsys)


def test_a_certificate_file_that_holds_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Installation(tmp_path, dials("https://127.0.0.1:1", ca_certs=Path(__file__)), "default")
    assert home.ship() == 2
    assert f"elastic.ca_certs names {__file__}, in which no certificate can be read" in told(capsys)


def test_a_server_that_speaks_no_tls_is_told_apart_from_one_with_a_strange_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(lambda asked: (200, {})) as url:
        home = Installation(tmp_path, dials(url.replace("http://", "https://")), "default")
        assert home.setup() == 2
    assert "speaks no TLS: let elastic.url begin with http://" in told(capsys)


@elastic
def test_a_state_directory_that_cannot_be_is_told_by_its_name(
    prepared_elastic: ElasticServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    home = Installation(tmp_path / "file", prepared_elastic.dials(), "default")
    assert home.setup() == 2
    assert f"llmops elk setup: {tmp_path}/file" in told(capsys)


def test_what_went_to_the_failure_store_is_no_success() -> None:
    assert _answer({"create": {"status": 201, "failure_store": "used"}}).outcome is Outcome.REFUSED
    assert _answer({"create": {"status": 201, "failure_store": "not_applicable_or_unknown"}}).outcome is Outcome.CREATED


def test_one_document_that_makes_the_server_refuse_the_whole_request_is_found_by_halving(tmp_path: Path) -> None:
    def picky(asked: Asked) -> tuple[int, Any]:
        if b"monster" in asked.body:
            return 413, {"error": {"type": "too_big", "reason": "it is a monster"}, "status": 413}
        return 200, {"errors": False, "items": [{"create": {"status": 201}}] * (asked.body.count(b"\n") // 2)}

    home = Installation(tmp_path, dials("http://127.0.0.1:1"), "default")
    documents = [home.request(request_id="monster" if number == 5 else "small") for number in range(9)]
    lines = [read_line(json.dumps(each).encode(), 0, "default") for each in documents]
    with answering(picky) as url, connect(dials(url)) as client:
        answers = send(client, lines)
    assert [answer.outcome for answer in answers].count(Outcome.CREATED) == 8
    assert (answers[5].outcome, answers[5].reason) == (Outcome.REFUSED, "it is a monster")
