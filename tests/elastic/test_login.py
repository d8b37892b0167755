"""Who we are at the server and at Kibana: what can never work is one sentence, and no secret is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.elastic.client import connect
from llmops.elastic.dashboards import KibanaProblem, import_all
from llmops.elastic.errors import ElasticProblem
from llmops.settings import ElasticSettings
from tests.elastic.answering import Asked, answering
from tests.elastic.server import ElasticServer
from tests.elastic.shipments import Installation


def taken(_: Asked) -> tuple[int, object]:
    return 200, {}


def test_kibana_takes_a_key_that_ends_with_a_line_break() -> None:
    with answering(taken) as url:
        assert import_all(url, "c2VjcmV0\n")


@pytest.mark.parametrize("key", ["SEKRIT\nmore", "SEKRIT-schlüssel", "SEKRIT more", "", "  \n"])
def test_kibana_is_never_asked_with_a_key_that_is_none(key: str) -> None:
    with answering(taken) as url, pytest.raises(ElasticProblem, match="API key that elastic names") as told:
        import_all(url, key)
    assert "SEKRIT" not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1"])
def test_a_kibana_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(KibanaProblem, match=r"elastic\.kibana_url is"):
        import_all(url, "c2VjcmV0")


@pytest.mark.parametrize(
    ("dials", "sentence"),
    [
        ({"password": "SEKRIT\udcff"}, "is no UTF-8"),
        ({"username": "a:b", "password": "SEKRIT"}, r"elastic\.username has a colon"),
    ],
)
def test_a_user_and_password_that_can_not_be_sent_are_told(dials: dict[str, str], sentence: str) -> None:
    with pytest.raises(ElasticProblem, match=sentence) as told:
        connect(ElasticSettings.model_validate(dials))
    assert "SEKRIT" not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize("content", [b"SEKRIT\nmore\n", "SEKRIT-schlüssel\n".encode(), b"\xffSEKRIT", b""])
def test_a_damaged_key_file_is_told_with_its_path(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ElasticProblem, match=f"{tmp_path / 'key'} .* `llmops elk setup --new-key`") as told:
        connect(ElasticSettings(), tmp_path)
    assert "SEKRIT" not in str(told.value)


@pytest.mark.elastic
@pytest.mark.parametrize("content", [b"two\nlines\n", "schlüssel\n".encode(), b"\xff"])
def test_setup_makes_a_new_key_in_place_of_a_damaged_one(
    content: bytes, prepared_elastic: ElasticServer, namespace: str, tmp_path: Path
) -> None:
    home = Installation(tmp_path, prepared_elastic.dials(), namespace)
    key = home.settings.state.ship / "key"
    key.parent.mkdir(parents=True)
    key.write_bytes(content)
    assert home.setup() == 0
    home.write([home.request()])
    keyed = Installation(tmp_path, ElasticSettings(url=home.settings.elastic.url), namespace)
    assert keyed.ship() == 0
    key.write_bytes(content)
    assert home.setup(new_key=True) == 0
    assert keyed.check() == 0


@pytest.mark.elastic
def test_a_password_in_any_script_opens_the_server(prepared_elastic: ElasticServer, namespace: str) -> None:
    with prepared_elastic.connect() as client:
        client.security.put_user(username=namespace, password="pässw€rt 密码", roles=["superuser"])
        try:
            mine = prepared_elastic.dials(username=namespace, password="pässw€rt 密码")
            with connect(mine) as found:
                assert found.security.authenticate().body["username"] == namespace
        finally:
            client.security.delete_user(username=namespace)
