"""What need not be told while a louder alert fires."""

from __future__ import annotations

import pytest

from llmops.alerts import Finding, advance, say
from llmops.alerts.gauges import QUEUE, SKEW, TEMPERATURE, gauge_finding
from llmops.alerts.inhibition import inhibitor
from llmops.alerts.serving import Serving, serve_finding

NOW = 1_700_000_000.0


def plain(rule_id: str) -> Finding:
    return Finding(rule_id=rule_id, name=say("vram"), severity="ticket", active=True)


@pytest.mark.parametrize(
    ("finding", "hidden"),
    [
        (gauge_finding("queue_saturated", {"": 1.0}, QUEUE, is_firing=False), True),
        (gauge_finding("clock_skew", {"": 9.0}, SKEW, is_firing=False), True),
        (plain("gpu_silent"), True),
        (gauge_finding("gpu_temperature", {"card": 99.0}, TEMPERATURE, is_firing=False), False),
        (plain("vram"), False),
        (plain("disk_space"), False),
        (plain("elasticsearch_unreachable"), False),
    ],
    ids=lambda value: value.rule_id if isinstance(value, Finding) else None,
)
def test_a_serve_that_is_down_speaks_for_what_follows_from_it(finding: Finding, hidden: bool) -> None:
    down = serve_finding(Serving("crashed"), down_for_s=5.0, is_firing=False)
    states, _ = advance({}, [down, finding], NOW)
    assert inhibitor(finding, states) == ("serve_down" if hidden else None)
    assert inhibitor(down, states) is None
    alone, _ = advance({}, [finding], NOW)
    assert inhibitor(finding, alone) is None
