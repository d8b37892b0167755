"""Which requests count as those of a program on this machine."""

from __future__ import annotations

import pytest

from llmops.admission.locality import (
    ELSEWHERE,
    FORWARDED,
    OLD_HTTP,
    OTHER_HOST,
    OTHER_ORIGIN,
    PROXIED,
    Locality,
    Remote,
)

HERE = (b"host", b"127.0.0.1:8000")


def remote(*headers: tuple[bytes, bytes], address: str = "127.0.0.1", version: str = "1.1", **more: object) -> object:
    return Locality(**more).why_remote(address, version, headers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.0.0.1:8000",
            "127.0.0.2:8000",
            "127.255.255.254",
            "localhost",
            "localhost:9",
            "LocalHost:8000",
        ),
        *("localhost.", "localhost.:8000", "[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]:8000", "[::ffff:127.0.0.1]:80"),
        *("localhost:", " localhost:8000 "),
    ],
)
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
def test_a_client_over_loopback_that_names_loopback_is_local(host: str, address: str) -> None:
    assert remote((b"host", host.encode()), (b"user-agent", b"curl"), address=address) is None


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "evil.localhost"),
        *(
            "192.168.1.7:8000",
            "0.0.0.0:8000",
            "[::]:8000",
            "",
            ":8000",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
        ),
        *(
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1:8000:9",
            "127.0.0.1:x",
            "[::1",
            "::1",
        ),
        *(
            "localhost..",
            "localhost,evil.example",
            "localhost/evil",
            "[evil.example]",
            "localhost\x00",
            "127.0.0.1 a",
            "x" * 9000,
        ),
        "\u217bocalhost",
    ],
)
def test_a_name_that_somebody_else_may_own_is_not_this_machine(host: str) -> None:
    assert remote((b"host", host.encode())) is OTHER_HOST


def test_one_host_and_no_other_number_of_them_says_which_machine_is_meant() -> None:
    assert remote() is OTHER_HOST
    assert remote(HERE, HERE) is OTHER_HOST
    assert remote(HERE, (b"host", b"evil.example")) is OTHER_HOST


def test_a_name_that_is_configured_counts_as_this_machine() -> None:
    hosts = frozenset(("llm.test", "192.0.2.5"))
    assert remote((b"host", b"LLM.test.:8000"), hosts=hosts) is None
    assert remote((b"host", b"192.0.2.5"), hosts=hosts) is None
    assert remote((b"host", b"llm.test.evil.example"), hosts=hosts) is OTHER_HOST
    assert remote((b"host", b"llm.test"), (b"origin", b"http://llm.test:8000"), hosts=hosts) is None


@pytest.mark.parametrize("address", ["192.168.1.2", "::ffff:10.0.0.1", "", "unix"])
def test_another_address_is_elsewhere_whatever_it_says(address: str) -> None:
    assert remote(HERE, address=address) is ELSEWHERE
    assert Locality().why_remote(None, "1.1", [HERE]) is ELSEWHERE


@pytest.mark.parametrize(
    "header",
    [
        *(
            b"x-forwarded-for",
            b"x-forwarded-host",
            b"x-forwarded-proto",
            b"x-forwarded",
            b"forwarded",
            b"x-real-ip",
            b"via",
        ),
        *(
            b"cf-connecting-ip",
            b"cf-ray",
            b"true-client-ip",
            b"x-client-ip",
            b"x-cluster-client-ip",
            b"fastly-client-ip",
        ),
        *(b"x_forwarded_for", b"x_real_ip", b"x-original-url", b"x-envoy-external-address", b"tailscale-user-login"),
        *(b"cdn-loop", b"fly-client-ip", b"x-forwarded-prefix", b"front-end-https"),
    ],
)
def test_a_header_that_only_a_proxy_adds_says_that_the_request_was_passed_on(header: bytes) -> None:
    assert remote(HERE, (header, b"")) is FORWARDED


def test_http_1_0_is_what_a_proxy_speaks() -> None:
    assert remote(HERE, version="1.0") is OLD_HTTP
    assert remote(HERE, version="0.9") is OLD_HTTP


def test_behind_a_proxy_nothing_is_local() -> None:
    assert remote(HERE, behind_proxy=True) is PROXIED


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://127.0.0.1.evil.example:8000",
        "null",
        "",
        "file://",
        "chrome-extension://abc",
        "x" * 999,
    ],
)
def test_a_page_of_another_origin_is_not_local(origin: str) -> None:
    assert remote(HERE, (b"origin", origin.encode())) is OTHER_ORIGIN
    assert remote(HERE, (b"origin", b"http://localhost:3000"), (b"origin", origin.encode())) is OTHER_ORIGIN
    assert remote(HERE, (b"origin", origin.encode()), origins=frozenset("*")) is OTHER_ORIGIN


def test_a_page_of_this_machine_or_of_an_origin_that_is_named_is_local() -> None:
    origins = frozenset(("https://chat.example", "chrome-extension://abc"))
    cross = (b"sec-fetch-site", b"cross-site")
    for given in (
        b"http://localhost:3000",
        b"http://127.0.0.1:8000",
        b"https://Chat.example",
        b"chrome-extension://abc",
    ):
        assert remote(HERE, (b"origin", given), cross, origins=origins) is None
    assert remote(HERE, (b"origin", b"http://chat.example"), origins=origins) is OTHER_ORIGIN


def test_what_a_browser_says_of_the_site_counts_where_no_origin_is_given() -> None:
    assert remote(HERE, (b"sec-fetch-site", b" Cross-Site")) is OTHER_ORIGIN
    for site in (b"none", b"same-origin", b"same-site"):
        assert remote(HERE, (b"sec-fetch-site", site)) is None


def test_a_reason_completes_its_sentence() -> None:
    reasons = (PROXIED, FORWARDED, OLD_HTTP, OTHER_HOST, OTHER_ORIGIN)
    assert all(each.because.startswith(", because ") for each in reasons)
    assert Remote() == ELSEWHERE
