"""Mail through a real server that takes, refuses, hangs, asks for a login, and speaks TLS."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from llmops.notifiers import DeliveryFailed, Email, Notification
from llmops.notifiers.email import mail_of
from llmops.notifiers.letter import letter_of
from tests.elastic.answering import self_signed
from tests.notifiers.mail_server import LOGIN, mail_server
from tests.notifiers.notices import item, notification

OPS, BOSS = "ops@example.org", "boss@example.org"


def channel(port: int, **more: Any) -> Email:
    dials = {"port": port, "sender": "llmops@example.org", "recipients": (OPS, BOSS), "security": "none"}
    return Email("127.0.0.1", **{**dials, "timeout_s": 5.0, **more})


def refused(port: int, told: Notification | None = None, **more: Any) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as failed:
        channel(port, **more).deliver(told or notification())
    assert LOGIN[1] not in str(failed.value)
    return failed.value


def test_a_mail_says_it_all_to_everybody() -> None:
    with mail_server() as server:
        channel(server.port).deliver(notification())
    (mail,) = server.mails
    assert server.recipients == [[OPS, BOSS]]
    assert (mail["From"], mail["To"]) == ("llmops@example.org", f"{OPS}, {BOSS}")
    assert (mail["Subject"], mail["Auto-Submitted"]) == (notification().title, "auto-generated")
    assert mail["Message-ID"] == f"<{notification().id}@example.org>"
    assert mail["Date"].datetime.timestamp() == notification().first.at
    assert mail.get_content().replace("\r\n", "\n") == letter_of(notification())


def test_chinese_arrives_whole_in_subject_and_text() -> None:
    long = "显存即将用尽，请检查正在运行的请求。" * 8
    told = notification(item(name=long[:60], reason=long, exemplars=("请求一",)), language="zh")
    with mail_server() as server:
        channel(server.port).deliver(told)
    (mail,) = server.mails
    assert mail["Subject"] == told.title
    assert mail.get_content().replace("\r\n", "\n") == letter_of(told)


@pytest.mark.parametrize(
    "hostile", ["x\r\nBcc: all@example.org", "x\n\nbody", "\x00\x1b", "=?utf-8?q?x=0ABcc?=", "\ud800"]
)
def test_no_words_of_strangers_make_a_header(hostile: str) -> None:
    with mail_server() as server:
        channel(server.port).deliver(notification(item(name=hostile, reason=hostile, exemplars=(hostile,))))
    (mail,) = server.mails
    assert sorted(mail.keys()) == sorted(mail_of(notification(), "a@b", (OPS,)).keys())
    assert server.recipients == [[OPS, BOSS]]


def test_a_subject_is_cut() -> None:
    assert len(mail_of(notification(item(name="x" * 5000)), "a@b", (OPS,))["Subject"]) == 200


def test_a_line_that_is_a_dot_ends_no_mail() -> None:
    told = notification(item(reason="."), item())
    with mail_server() as server:
        channel(server.port).deliver(told)
    assert server.mails[0].get_content().replace("\r\n", "\n") == letter_of(told)


@pytest.mark.parametrize(("answer", "is_final"), [("451 later", False), ("554 pass word: never", True)])
def test_the_code_of_an_answer_says_whether_another_try_is_worth_it(answer: str, is_final: bool) -> None:
    with mail_server({"DATA": answer}) as server:
        failed = refused(server.port)
    assert (str(failed), failed.is_final) == (f"the mail server answered {answer[:3]}", is_final)


@pytest.mark.parametrize(("answers", "is_final"), [(("550 no", "450 full"), False), (("550 no", "551 no"), True)])
def test_where_no_recipient_is_taken_one_that_may_be_later_is_worth_another_try(
    answers: tuple[str, str], is_final: bool
) -> None:
    with mail_server(dict(zip((OPS, BOSS), answers, strict=True))) as server:
        assert refused(server.port).is_final is is_final


def test_where_one_recipient_is_refused_the_others_are_not_told_twice(caplog: pytest.LogCaptureFixture) -> None:
    with mail_server({OPS: "550 no"}) as server:
        channel(server.port).deliver(notification())
    assert server.recipients == [[BOSS]]
    assert "refused 1 of 2 recipients" in caplog.text


def test_it_logs_in_over_starttls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(tls=certificate, login=True) as server:
        channel(server.port, security="starttls", login=LOGIN).deliver(notification())
        wrong = refused(server.port, security="starttls", login=("llmops", "wrong pass word"))
    assert (server.was_encrypted, str(wrong), wrong.is_final) == ([True], "the mail server answered 535", True)


def test_a_certificate_of_no_authority_is_not_believed(tmp_path: Path) -> None:
    with mail_server(tls=self_signed(tmp_path)) as server:
        assert "its certificate is self-signed: name the file of its authority in SSL_CERT_FILE" in str(
            refused(server.port, security="starttls")
        )
    assert server.mails == []


def test_nothing_goes_in_clear_where_starttls_is_asked_for() -> None:
    with mail_server() as server:
        failed = refused(server.port, security="starttls")
    assert (str(failed), failed.is_final) == ("the mail server cannot do that (SMTPNotSupportedError)", True)
    assert server.mails == []


def test_a_password_that_smtp_cannot_carry_is_told_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(tls=certificate, login=True) as server:
        failed = refused(server.port, security="starttls", login=("llmops", "密码"))
    assert (str(failed), failed.is_final) == ("the mail server cannot do that (UnicodeEncodeError)", True)


@pytest.mark.parametrize("security", ["none", "starttls", "ssl"])
def test_a_server_that_hangs_costs_a_timeout_and_no_more(security: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        failed = refused(silent.getsockname()[1], security=security, timeout_s=0.3)
    assert time.monotonic() - began < 5.0
    assert not failed.is_final


def test_nobody_there_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    failed = refused(port)
    assert (str(failed), failed.is_final) == ("no mail server answered (ConnectionRefusedError)", False)
