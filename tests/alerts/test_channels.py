"""Whether the channels deliver, as the rule `channel_failed` sees them."""

from __future__ import annotations

from llmops.alerts.channels import channels_finding


def test_a_channel_that_fails_is_named_with_its_reason() -> None:
    found = channels_finding({"webhook": "the webhook answered 503", "email": "no mail server answered"}, True)
    assert (found.rule_id, found.severity, found.group, found.active) == ("channel_failed", "page", "watch", True)
    assert str(found.reason) == (
        "the channel email does not deliver: no mail server answered; "
        "the channel webhook does not deliver: the webhook answered 503"
    )


def test_it_is_over_once_a_delivery_succeeded_and_unknown_while_one_is_under_way() -> None:
    assert channels_finding({}, True).active is False
    assert channels_finding({}, False).active is None
