"""Kibana's dashboards, kept as files: put into a running Kibana with its Dashboards API, as often as one likes.

The files are request bodies of `PUT /api/dashboards/{id}` (Kibana 9.5 and newer); the id is the file's name.
"""

from __future__ import annotations

import json
import ssl
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from llmops.elastic.client import speaks_no_tls
from llmops.elastic.errors import ElasticProblem
from llmops.elastic.login import header

FOLDER = Path(__file__).parents[2] / "dashboards"
TIMEOUT_S = 30.0
_TOLD_CHARACTERS = 300

Board: TypeAlias = dict[str, Any]
Login: TypeAlias = tuple[str, str] | str
"""User and password, or an encoded API key."""


class KibanaProblem(ElasticProblem):
    """Kibana can't be used; `str(error)` is the sentence. `passing`: it may go away by itself, so wait."""

    def __init__(self, sentence: str, *, passing: bool = False) -> None:
        super().__init__("kibana", sentence, passing=passing)


def boards(folder: Path = FOLDER) -> Mapping[str, Board]:
    """Id -> request body of every dashboard there. Raises KibanaProblem for a damaged file, and OSError."""
    return {path.stem: _board(path) for path in sorted(folder.glob("*.json"))}


def _board(path: Path) -> Board:
    try:
        body: Board = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise KibanaProblem(f"{path} is no JSON: it is damaged, so take it from the repository again.") from None
    return body


def import_all(url: str, login: Login, *, ca_certs: Path | None = None, folder: Path = FOLDER) -> list[str]:
    """Create or replace each dashboard; gives their ids. Raises KibanaProblem at the first that is not taken, and
    ElasticProblem for a login that can't be sent.

    url: of Kibana, with the path of a space if it is to be another than the default one.
    ca_certs: file of the authority that signed Kibana's certificate; None: the ones that this machine trusts.
    """
    wanted = boards(folder)
    if not wanted:
        raise KibanaProblem(f"There are no dashboards in {folder}: they come with the repository, so run from a clone.")
    _require_address(url)
    headers = {"kbn-xsrf": "true", "Authorization": header(login)}
    with httpx.Client(headers=headers, verify=_trusted(ca_certs), timeout=TIMEOUT_S, trust_env=False) as http:
        for board_id, body in wanted.items():
            _put(http, url.rstrip("/"), board_id, body)
    return list(wanted)


def _require_address(url: str) -> None:
    try:
        if urllib.parse.urlsplit(url).port != 0:  # reading the port is what fails
            return
    except ValueError:
        pass
    raise KibanaProblem(f"elastic.kibana_url is {url}: give scheme, host and port, as in https://127.0.0.1:5601.")


def _trusted(ca_certs: Path | None) -> ssl.SSLContext | bool:
    if ca_certs is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_certs)
    except OSError as error:  # ssl.SSLError is one
        raise KibanaProblem(f"{ca_certs} can't be read as the certificate of an authority.") from error


def _put(http: httpx.Client, url: str, board_id: str, body: Board) -> None:
    try:
        answer = http.put(f"{url}/api/dashboards/{board_id}", json=body)
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            sentence = (
                f"The certificate of {url} is signed by nobody that this machine trusts: name its authority's file."
            )
            raise KibanaProblem(sentence) from error
        if speaks_no_tls(str(error)):
            raise KibanaProblem(
                f"What answers at {url} speaks no TLS: let elastic.kibana_url begin with http://."
            ) from error
        raise KibanaProblem(f"No Kibana answers at {url}: is it running?", passing=True) from error
    except httpx.HTTPError as error:
        raise KibanaProblem(f"{url} did not answer ({type(error).__name__}).", passing=True) from error
    if not answer.is_success:
        raise _problem_of(answer, url, board_id)


def _problem_of(answer: httpx.Response, url: str, board_id: str) -> KibanaProblem:
    status, told = answer.status_code, _told(answer)
    if status in (408, 429) or status >= 500:
        return KibanaProblem(f"{url} says {status}: {told}.", passing=True)
    if status == 401:
        return KibanaProblem(f"{url} does not accept the user and password, or the key: {told}.")
    if status == 403:
        return KibanaProblem(f"{url} does not allow this user or key to write dashboards: {told}.")
    if status == 404:
        return KibanaProblem(f"{url} has no Dashboards API: it came with Kibana 9.5, so upgrade to that or newer.")
    return KibanaProblem(f"{url} does not take the dashboard {board_id}: it says {status}: {told}.")


def _told(answer: httpx.Response) -> str:
    """Kibana's own words, on one line."""
    try:
        body = answer.json()
        text = str(body.get("message") or body.get("error") or body) if isinstance(body, dict) else str(body)
    except ValueError:
        text = answer.reason_phrase
    return " ".join(text.split())[:_TOLD_CHARACTERS].rstrip(".")
