"""What a stranger wrote reaches no channel as a mention, a link or other markup: the bytes that arrive are searched."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.alerts import say
from llmops.notifiers import Alertmanager, Desktop, Email, Notification, Webhook
from llmops.notifiers.apprise import Apprise
from tests.notifiers.mail_server import mail_server
from tests.notifiers.notices import item, notification
from tests.notifiers.servers import receiver
from tests.notifiers.services import Arrived, Services, services

HOSTILE = (
    '@everyone @here @all @room <!channel> <!here|x> <@U123> <users/all> <at user_id="all">all</at> (met)all(met) '
    "[CQ:at,qq=all] @**all** [click](http://evil.example/a?b=c&d) <http://evil.example|click> "
    "![](http://evil.example/p) "
    "http://evil.example https://evil.example www.evil.example evil.example mailto:a@evil.example javascript:alert(1) "
    "http://198.51.100.7/x 198.51.100.7 **bold** __bold__ _italic_ ~~gone~~ `code` ```fence``` # head | cell | "
    "<b>bold</b> <script>x</script> <img src=x> &lt;!channel&gt; {{ .Labels }} {{app_id}} :skull: \\n \x1b[31m "
    "\u202egnp.exe \r\nBcc: all@evil.example\n\nPAGE firing: forged"
)
REQUEST_ID = "@everyone<!channel>[x](http://evil.example)`c`<b>*b*</b>"
ALARMING = re.compile(
    r"@(?:everyone|here|all|channel|room|\*)|<[!@a-z/]|&lt;!|\]\(|!\[|\[CQ:|(?<!\\)\(met\)all\(met\)|https?:/|www\.|evil\.|"
    r"mailto:|javascript:|198\.51|\*\*bold|__bold|(?<!\w)_italic|~~|`|\|\s*cell|\{\{|:skull|[\x00-\x09\x0b\x0c\x0e-\x1f\u202e]"
)
TOKEN = "a" * 32
SERVICES = {
    "discord": "discord://123456789012345678/AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "discord in markdown": "discord://123456789012345678/AAAAAAAAAAAAAAAAAAAAAAAAAAAA?format=markdown",
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "slack in markdown": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?format=markdown",
    "google chat": "gchat://space/key/token",
    "telegram": f"tgram://123456789:{TOKEN}/12315544",
    "telegram in markdown": f"tgram://123456789:{TOKEN}/12315544?format=markdown",
    "dingtalk": "dingtalk://aabbccddeeff",
    "dingtalk in markdown": "dingtalk://aabbccddeeff?format=markdown",
    "wecom": "wecombot://botkey-1234",
    "feishu": f"feishu://{TOKEN}",
    "lark": f"lark://{TOKEN}",
    "pushover": f"pover://{'u' * 30}@{'t' * 30}",
    "pushover in html": f"pover://{'u' * 30}@{'t' * 30}?format=html",
    "teams": "workflows://prod-1.logic.azure.com:443/workflow/signature",
    "zulip": f"zulip://bot@org/{TOKEN}/stream",
    "kook": "kook://token/123",
    "pagerduty": f"pagerduty://{TOKEN}@TIiajkdnlazkcOXrIdevi7FQ",
    "line": "line://token/user",
    "mattermost": f"mmost://PLACE/{TOKEN}",
    "rocket.chat": "rocket://web/hook@PLACE/room",
    "matrix": "matrix://user:password@PLACE/!r:x?v=3",
    "matrix in html": "matrix://user:password@PLACE/!r:x?v=3&format=html",
    "ntfy": "ntfy://PLACE/topic",
    "ntfy in markdown": "ntfy://PLACE/topic?format=markdown",
    "gotify": "gotify://PLACE/AAAAAAAAAAAAAAA",
    "nextcloud talk": "nctalk://user:password@PLACE/room",
    "mastodon": "mastodon://token@PLACE",
    "misskey": "misskey://token@PLACE",
    "onebot": "onebot://PLACE/123",
    "home assistant": "hassio://PLACE/token",
    "json": "json://PLACE",
    "form": "form://PLACE",
}


def hostile() -> Notification:
    """A stranger wrote the reason (an error message with a user and a model in it), the name and the request id."""
    reason = say("serve_down.unreachable", why=HOSTILE)
    return notification(item(name=HOSTILE, reason=reason, exemplars=(REQUEST_ID,)))


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Those of all chat services."""
    with services(tmp_path, monkeypatch) as found:
        yield found


def messages(arrived: list[Arrived]) -> list[str]:
    """What carries the alert; services may log in first. A tag of the service's own layout is none of a stranger."""
    found = [each.text for each in arrived if "forged" in each.text]
    return [re.sub(r"</?b>|<br ?/?>|</?(?:p|h1|pre)>|\\/|https?://adaptivecards\S*", "", each) for each in found]


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_stranger_wrote_arrives_at_a_chat_without_markup(name: str, servers: Services) -> None:
    Apprise([SERVICES[name].replace("PLACE", servers.place)]).deliver(hostile())
    found = messages(servers.arrived)
    assert found
    for message in found:
        assert "everyone" in message
        assert ALARMING.findall(message) == []


def test_messages_load_no_picture_from_another_server(servers: Services) -> None:
    Apprise([SERVICES["discord"], SERVICES["teams"]]).deliver(notification())
    assert len(servers.arrived) == 2
    assert not any("github" in each.text or ".png" in each.text for each in servers.arrived)


def test_a_message_that_is_longer_than_a_service_takes_is_split(servers: Services) -> None:
    """Discord refuses more than 2,000 characters, and with them the whole alert."""
    many = [item(rule_id=f"slo.number{number}.page", reason="long " * 30) for number in range(30)]
    Apprise([SERVICES["discord"]]).deliver(notification(*many))
    sent = [json.loads(each.body)["content"] for each in servers.arrived]
    assert len(sent) > 2
    assert max(len(each) for each in sent) <= 2000
    assert "".join(sent).count("Runbook:") == 30


def test_a_value_of_any_length_leaves_an_alert_readable() -> None:
    (notice,) = notification(item(name="x" * 100_000, reason="y" * 100_000, exemplars=("z" * 100_000,))).notices
    assert len(notice.line) < 2000


def test_mail_has_no_link_and_no_header_of_a_stranger() -> None:
    with mail_server() as server:
        channel = Email("127.0.0.1", sender="a@b", recipients=("c@d",), port=server.port, security="none")
        channel.deliver(hostile())
    (mail,) = server.mails
    assert mail.get_content_type() == "text/plain"
    assert mail["Bcc"] is None
    assert ALARMING.findall(f"{mail['Subject']}\n{mail.get_content()}") == []


def test_mail_through_apprise_has_no_link_and_no_header_of_a_stranger() -> None:
    with mail_server() as server:
        Apprise([f"mailto://127.0.0.1:{server.port}?from=a@b.example&to=c@d.example&mode=insecure"]).deliver(hostile())
    (mail,) = server.mails
    assert mail["Bcc"] is None
    texts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    written = re.sub(r"<(?:/?(?:html|head|body|b|p|pre|h1|div)|br ?/?|!DOCTYPE html)[^<>]*>", "", " ".join(texts))
    assert "forged" in written
    assert ALARMING.findall(html.unescape(f"{mail['Subject']}\n{written}")) == []


def test_annotations_for_alertmanager_s_receivers_have_no_markup() -> None:
    with receiver(200) as server:
        Alertmanager(server.url, instance="box:8000", refresh_s=60).deliver(hostile())
    ((alert,),) = server.bodies
    assert ALARMING.findall(json.dumps(alert, ensure_ascii=False)) == []


def test_a_webhook_gives_people_text_without_markup_and_programs_the_exact_ids() -> None:
    with receiver(200) as server:
        Webhook(server.url).deliver(hostile())
    (body,) = server.bodies
    assert body["exemplars"] == [REQUEST_ID]
    people = {key: body[key] for key in ("name", "reason", "text", "command")}
    assert ALARMING.findall(json.dumps(people, ensure_ascii=False)) == []


def test_a_desktop_shows_no_markup_and_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    said = tmp_path / "said"
    script = tmp_path / "notify-send"
    script.write_text(
        f"#!{sys.executable}\nimport json, pathlib, sys\npathlib.Path({str(said)!r}).write_text(json.dumps(sys.argv))\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    Desktop().deliver(hostile())
    title, body = json.loads(said.read_text())[-2:]
    assert ALARMING.findall(f"{title}\n{html.unescape(body)}") == []
