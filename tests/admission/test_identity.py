"""Who needs a key, who comes from here, and what a hash tells."""

from __future__ import annotations

import pytest

from llmops.admission.identity import KeyRule, comes_from_here, hash_user, needs_key


@pytest.mark.parametrize(
    ("rule", "path", "local", "remote"),
    [
        ("auto", "/v1/chat/completions", False, True),
        ("auto", "/v1/models", False, True),
        ("auto", "/metrics", False, True),
        ("auto", "/ops/live", False, True),
        ("auto", "/docs", False, True),
        ("auto", "/health", False, False),
        ("auto", "/health/ready", False, False),
        ("auto", "/healthy", False, True),
        ("required", "/v1/models", True, True),
        ("required", "/metrics", False, True),
        ("required", "/ops/snapshot", False, True),
        ("required", "/health/live", False, False),
        ("off", "/v1/models", False, False),
        ("off", "/ops/snapshot", False, False),
    ],
)
def test_a_key_is_asked_of_the_right_callers(rule: KeyRule, path: str, local: bool, remote: bool) -> None:
    assert needs_key(rule, path, is_local=True) is local
    assert needs_key(rule, path, is_local=False) is remote


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_here_unless_a_proxy_passed_it_on(address: str) -> None:
    assert comes_from_here(address, set())
    for header in (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"x-forwarded-host", b"via"):
        assert not comes_from_here(address, {header})


@pytest.mark.parametrize(
    "address", ["192.168.1.2", "fe80::1%eth0", "::ffff:10.0.0.1", "0.0.0.0", "::", "localhost", ""]
)
def test_everything_else_is_elsewhere(address: str) -> None:
    assert not comes_from_here(address, set())
    assert not comes_from_here(None, set())


def test_a_user_hash_is_stable_under_one_key_and_tells_nothing_under_another() -> None:
    assert hash_user(b"k", "ann") == hash_user(b"k", "ann")
    assert len({hash_user(b"k", "ann"), hash_user(b"k", "bo"), hash_user(b"l", "ann"), hash_user(b"k", "\ud800")}) == 4
