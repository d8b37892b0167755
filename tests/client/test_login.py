from __future__ import annotations

import getpass

import pytest

from llmops.client import login_name


def test_a_user_without_a_name_gets_the_one_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ann")
    assert login_name("shell") == "ann"

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert login_name("shell") == "shell"
