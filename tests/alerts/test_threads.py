"""The background threads of serve and watch, as the rule `thread_ended` sees them."""

from __future__ import annotations

import dataclasses

from llmops.alerts.threads import threads_finding
from tests.alerts.test_serving import snapshot


def test_a_thread_that_ended_is_a_page_that_names_it_and_its_process() -> None:
    serve = dataclasses.replace(snapshot(), threads={"events": True, "samples": False})
    found = threads_finding(serve, ["webhook"])
    assert (found.active, found.severity, found.value) == (True, "page", 2.0)
    assert str(found.reason) == (
        "the thread webhook of watch has ended; restart watch; the thread samples of serve has ended; restart serve"
    )


def test_without_an_answer_of_serve_only_what_has_ended_here_is_known() -> None:
    assert threads_finding(None, []).active is None
    assert threads_finding(None, ["canary"]).active is True


def test_while_all_of_them_run_there_is_nothing_and_what_writes_the_events_is_left_to_its_own_rule() -> None:
    serve = dataclasses.replace(snapshot(), threads={"events": False, "samples": True})
    found = threads_finding(serve, [])
    assert found.active is False
    assert str(found.reason) == "every background thread runs"
    assert threads_finding(snapshot(), []).active is False, "a serve that says nothing of its threads"
