"""The connection: opened from the dials, and what it complains about turned into sentences."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import ssl
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elastic_transport import ConnectionError as Unreachable
from elastic_transport import ConnectionTimeout, TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch, UnsupportedProductError

from llmops.elastic.bounds import BoundedNode, BoundedTransport
from llmops.elastic.errors import ElasticProblem
from llmops.elastic.login import basic, key_from, named_key
from llmops.settings import ElasticSettings

KEY_FILE = "key"
_PASSING_STATUS = frozenset({408, 425, 429})
_LIFTED = frozenset({"cluster_block_exception", "index_closed_exception"})
"""A full disk or an operator made an index or the cluster read-only, or closed it; either is taken back, whatever the
status is (403, 429, 503, 400)."""
_FULL_MAPPING = "Limit of total fields"
"""Every document would be refused until the operator raises the limit."""
logging.getLogger("elastic_transport.node_pool").setLevel(logging.ERROR)  # it tells each failure, and so do we, once
_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_OLD = "media_type_header_exception"


def connect(dials: ElasticSettings, key_folder: Path | None = None) -> Elasticsearch:
    """A client that never retries by itself: who sends decides what a lost answer means.

    key_folder: where `llmops elk setup` left a key, for when no dial names one. Nothing is asked of the server yet.
    """
    options = {**_who(dials, key_folder), **_tls(dials)}
    try:
        return Elasticsearch(
            _with_port(dials.url),
            request_timeout=dials.timeout_s,
            max_retries=0,
            retry_on_timeout=False,
            node_class=BoundedNode,
            transport_class=BoundedTransport,
            **options,
        )
    except ValueError:
        raise ElasticProblem(
            "elastic_url", f"elastic.url is {dials.url}: give scheme, host and port, as in http://127.0.0.1:9200."
        ) from None


def _who(dials: ElasticSettings, key_folder: Path | None) -> dict[str, Any]:
    """As the client takes it. Raises ElasticProblem, which never quotes a secret."""
    login = dials.login
    if isinstance(login, tuple):
        return {"basic_auth": basic(*login)}
    if login is not None:
        return {"api_key": named_key(login)}
    path = None if key_folder is None else key_folder / KEY_FILE
    if path is None or not path.exists():
        return {}
    if key := key_from(path):
        return {"api_key": key}
    sentence = f"The key in {path} is damaged: make a new one with `llmops elk setup --new-key`."
    raise ElasticProblem("elastic_login", sentence)


def _with_port(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    bare = parts.scheme == "http" and not parts.netloc.rpartition("@")[2].rpartition("]")[2].count(":")
    return f"{parts.scheme}://{parts.netloc}:9200{parts.path}" if bare else url


def _tls(dials: ElasticSettings) -> dict[str, Any]:
    """A pinned certificate needs no authority; without TLS there is nothing to say."""
    if not dials.url.startswith("https:"):
        return {}
    if dials.fingerprint:
        return {
            "ssl_assert_fingerprint": dials.fingerprint.replace(":", ""),
            "verify_certs": False,
            "ssl_show_warn": False,
        }
    options: dict[str, Any] = {"verify_certs": dials.verify, "ssl_show_warn": False}
    if dials.ca_certs is not None:
        if not dials.ca_certs.is_file():
            raise ElasticProblem("elastic_certificate", f"elastic.ca_certs names {dials.ca_certs}, which is no file.")
        try:
            ssl.create_default_context(cafile=dials.ca_certs)
        except OSError:  # ssl.SSLError is one
            sentence = f"elastic.ca_certs names {dials.ca_certs}, in which no certificate can be read."
            raise ElasticProblem("elastic_certificate", sentence) from None
        options["ca_certs"] = str(dials.ca_certs)
    return options


@contextlib.contextmanager
def plain_words(client: Elasticsearch) -> Iterator[None]:
    """What the client raises inside comes out as an ElasticProblem with a sentence."""
    try:
        yield
    except (ApiError, TransportError) as error:
        raise problem_of(error, client) from error


def problem_of(error: ApiError | TransportError, client: Elasticsearch) -> ElasticProblem:
    """The sentence for what the client raised, and whether waiting may help."""
    url = next(iter(client.transport.node_pool.all())).base_url
    if isinstance(error, TlsError):
        return _of_plain(url) if speaks_no_tls(str(error.message)) else _of_certificate(url)
    if isinstance(error, ConnectionTimeout):
        return ElasticProblem("elastic_timeout", f"{url} did not answer in time: {_short(error)}.", passing=True)
    if isinstance(error, Unreachable):
        sentence = f"No Elasticsearch answers at {url}: is it running, and is elastic.url right? ({_short(error)})"
        return ElasticProblem("elastic_unreachable", sentence, passing=True)
    if isinstance(error, UnsupportedProductError):
        return _of_product(url)
    if isinstance(error, ApiError):
        return _of_answer(error, client, url)
    return ElasticProblem(
        "elastic_transport", f"{url} gave an answer that can't be read: {_short(error)}.", passing=True
    )


def _of_answer(error: ApiError, client: Elasticsearch, url: str) -> ElasticProblem:
    status, reason = error.meta.status, reason_of(error)
    if is_passing(status, type_of(error.body), reason):
        return _of_passing(type_of(error.body), url, f"{status}: {reason}")
    if status == 400 and _OLD in str(error.body):
        version = _version(client)
        sentence = f"{url} runs Elasticsearch {version}, and llmops speaks to 9.x: upgrade the server to 9.x."
        return ElasticProblem("elastic_version", sentence)
    if status == 401:
        return _of_login(error, url, reason)
    if status == 403:
        sentence = f"{url} does not allow this to the user or key that elastic names: {reason}."
        return ElasticProblem("elastic_forbidden", sentence)
    if not is_elasticsearch(error):
        return _of_product(url)
    return ElasticProblem("elastic_refused", f"{url} says {status}: {reason}.")


def _of_passing(kind: str, url: str, reason: str) -> ElasticProblem:
    if kind in _LIFTED:
        sentence = f"{url} accepts nothing until its operator lifts this: {reason}."
        return ElasticProblem("elastic_blocked", sentence, passing=True)
    return ElasticProblem("elastic_busy", f"{url} says {reason}.", passing=True)


def is_passing(status: int, kind: str, reason: str) -> bool:
    """Whether the same request may be answered differently later. kind: the `type` of the error, "" without one."""
    return status in _PASSING_STATUS or status >= 500 or kind in _LIFTED or _FULL_MAPPING in reason


def type_of(body: Any) -> str:
    """The `type` of the error in an answer; "" where it has none, as a proxy's."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("type")) if isinstance(error, dict) else ""


def is_elasticsearch(error: ApiError) -> bool:
    """Every answer of the server names it; one of a web server, or of a proxy before it, does not."""
    return error.meta.headers.get("x-elastic-product") == "Elasticsearch"


def _of_product(url: str) -> ElasticProblem:
    return ElasticProblem("elastic_product", f"What answers at {url} is not Elasticsearch: check elastic.url.")


def _of_login(error: ApiError, url: str, reason: str) -> ElasticProblem:
    text = str(error.body)
    if "expired" in text:
        sentence = f"The key that elastic names has expired at {url}: make a new one with `llmops elk setup --new-key`."
        return ElasticProblem("elastic_key_expired", sentence)
    if "missing authentication credentials" in text:
        sentence = f"{url} wants to know who asks: set elastic.api_key, or elastic.username and elastic.password."
        return ElasticProblem("elastic_login", sentence)
    sentence = f"{url} does not accept the user and password, or the key, that elastic names: {reason}."
    return ElasticProblem("elastic_login", sentence)


def speaks_no_tls(told: str) -> bool:
    """What OpenSSL says when the other side answers in clear."""
    return "wrong version number" in told.lower().replace("_", " ") or "record layer failure" in told.lower()


def _of_plain(url: str) -> ElasticProblem:
    sentence = f"What answers at {url} speaks no TLS: let elastic.url begin with http://, or turn its TLS on."
    return ElasticProblem("elastic_certificate", sentence)


def _of_certificate(url: str) -> ElasticProblem:
    parts = urllib.parse.urlsplit(url)
    found = ""
    with contextlib.suppress(OSError, ValueError):
        pem = ssl.get_server_certificate((parts.hostname or "", parts.port or 9200), timeout=5)
        found = f" (it is {hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()}; compare it at the server)"
    sentence = (
        f"The certificate of {url} is signed by nobody that this machine trusts, or is not what was pinned: set "
        f"elastic.ca_certs to its authority's file, or elastic.fingerprint to its SHA-256{found}."
    )
    return ElasticProblem("elastic_certificate", sentence)


def reason_of(error: ApiError) -> str:
    """The server's own reason, on one line."""
    body = error.body
    told = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(told, dict):
        told = told.get("reason") or told.get("type") or told
    if isinstance(told, str) and (title := _TITLE.search(told)):  # the page of a proxy before the server
        told = title[1]
    return " ".join(str(told or error.message).split())[:300].rstrip(".;")


def _version(client: Elasticsearch) -> str:
    """Which one it is, asked in the words that every version understands."""
    try:
        answer = client.perform_request("GET", "/", headers={"accept": "*/*"})
        return str(answer.body["version"]["number"])
    except (ApiError, TransportError, KeyError, TypeError):
        return "of another major version"


def _short(error: TransportError) -> str:
    """What lies under the layers that urllib3 and the client wrap around it."""
    text = " ".join(str(error.message).split())
    if told := re.search(r"\[Errno -?\d+\] ([^'\")>]+)", text):
        return told[1].lower()
    return "it hung up" if "Connection aborted" in text else text[:200].rstrip(".")
