"""Dials: who wins, who is told where a value came from, and what a mistake says."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.settings import BadConfiguration, load


@pytest.fixture(autouse=True)
def an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(
    an_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (an_empty_folder / "llmops.toml").write_text("[serve]\nport = 1\nhost = '::1'\ndrain_deadline_s = 5\n")
    monkeypatch.setenv("LLMOPS_SERVE__PORT", "2")
    monkeypatch.setenv("LLMOPS_SERVE__HOST", "0.0.0.0")
    loaded = load({"serve.port": 3, "engine.model": None})
    assert (loaded.settings.serve.port, loaded.settings.serve.host) == (3, "0.0.0.0")
    assert loaded.settings.serve.drain_deadline_s == 5
    assert loaded.settings.serve.url == "http://127.0.0.1:3"
    origins = {name: origin for name, _, origin, _ in loaded.rows()}
    assert origins["serve.port"] == "command line"
    assert origins["serve.host"] == "LLMOPS_SERVE__HOST"
    assert origins["serve.drain_deadline_s"] == "llmops.toml"
    assert origins["engine.kind"] == "default"


def test_every_dial_says_what_it_is() -> None:
    assert all(text for _, _, _, text in load().rows())


def test_a_file_can_be_named_and_must_then_be_there(an_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_CONFIG", str(an_empty_folder / "mine.toml"))
    with pytest.raises(BadConfiguration, match=r"LLMOPS_CONFIG names .*mine\.toml, which cannot be read"):
        load()
    (an_empty_folder / "mine.toml").write_text("[serve]\nport = 7\n")
    assert load().settings.serve.port == 7


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        (
            "LLMOPS_SERVE__PROT",
            "1",
            "LLMOPS_SERVE__PROT in the environment is no dial: did you mean LLMOPS_SERVE__PORT?",
        ),
        (
            "LLMOPS_GAUGES__TEMPERATURE_CLEAR_C",
            "90",
            "gauges.temperature_clear_c in LLMOPS_GAUGES__TEMPERATURE_CLEAR_C is '90': make it at most "
            "gauges.temperature_fire_c (87.0).",
        ),
        (
            "LLMOPS_GAUGES__DISK_CLEAR",
            "0.01",
            "gauges.disk_clear in LLMOPS_GAUGES__DISK_CLEAR is '0.01': make it at least gauges.disk_fire (0.05).",
        ),
        (
            "LLMOPS_EVENTS__JOURNAL_MAX_BYTES",
            "100",
            "events.journal_max_bytes in LLMOPS_EVENTS__JOURNAL_MAX_BYTES is '100': make it at least "
            "events.journal_bytes (8589934592).",
        ),
        ("LLMOPS_SERVE__PORT", "x", "serve.port in LLMOPS_SERVE__PORT is 'x'"),
        ("LLMOPS_OBJECTIVES__LATENCY_TARGET", "100", "objectives.latency_target in LLMOPS_OBJECTIVES__LATENCY_TARGET"),
        ("LLMOPS_TUI__KEYS", "{", "LLMOPS_TUI__KEYS in the environment must be JSON"),
        (
            "LLMOPS_ALERTS__EMAIL_TO",
            "ops@example.org",
            'EMAIL_TO in the environment must be JSON: a list as ["a", "b"]',
        ),
        ("LLMOPS_ALERTS__EMAIL_TO", '"ops"', "in LLMOPS_ALERTS__EMAIL_TO is 'ops': write a list, as in"),
        ("LLMOPS_ALERTS__EMAIL_TO", r'["a@b\r\nBcc: c@d"]', "it must look like ops@example.org, without a name."),
        ("LLMOPS_ALERTS__EMAIL_HOST", "box", "alerts.email_from is empty: set it, or leave alerts.email_host empty."),
    ],
)
def test_a_mistake_in_the_environment_is_one_sentence(
    variable: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadConfiguration) as told:
        load()
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)


def test_a_mistake_in_a_flag_names_the_command_line() -> None:
    with pytest.raises(BadConfiguration, match=r"engine\.kind on the command line is 'foo'"):
        load({"engine.kind": "foo"})


def test_a_home_in_a_path_is_expanded_and_a_webhook_must_be_a_url(an_empty_folder: Path) -> None:
    file = an_empty_folder / "llmops.toml"
    file.write_text('[state]\ndirectory = "~/mine"\n')
    assert load().settings.state.directory == Path.home() / "mine"
    file.write_text('[watch]\nwebhook_url = "example.org/hook"\n')
    with pytest.raises(BadConfiguration, match=r"watch\.webhook_url in llmops\.toml"):
        load()


def test_a_page_that_may_call_is_an_origin_and_not_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_SERVE__CORS_ORIGINS", '["http://127.0.0.1:3000", "*"]')
    assert load().settings.serve.cors_origins == ("http://127.0.0.1:3000", "*")
    monkeypatch.setenv("LLMOPS_SERVE__CORS_ORIGINS", '["http://127.0.0.1:3000/chat"]')
    with pytest.raises(BadConfiguration, match=r"serve\.cors_origins"):
        load()


def test_sums_of_hours_are_kept_as_long_as_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_STORE__HOURS_D", "30")
    with pytest.raises(
        BadConfiguration, match=r"store\.hours_d .*make it at least store\.requests_d and store\.minutes_d \(90\)"
    ):
        load()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("password = 48151623", "elastic.password in llmops.toml can't be used: input should be a valid string."),
        ("api_key = [48151623]", "elastic.api_key in llmops.toml can't be used: input should be a valid string."),
        (
            'url = "http://me:48151623@box:9200"',
            "elastic.url in llmops.toml can't be used: it must look like http://127.0.0.1:9200, without a user.",
        ),
    ],
)
def test_a_mistake_in_a_secret_is_told_without_it(an_empty_folder: Path, line: str, sentence: str) -> None:
    (an_empty_folder / "llmops.toml").write_text(f"[elastic]\n{line}\n")
    with pytest.raises(BadConfiguration) as told:
        load()
    assert str(told.value).startswith(sentence)
    assert "48151623" not in str(told.value)


@pytest.mark.parametrize(
    ("dial", "example"),
    [
        ("elastic.url", "http://127.0.0.1:9200, without a user"),
        ("elastic.kibana_url", "https://127.0.0.1:5601, without a user"),
        ("elastic.fingerprint", "4A:0F:..., 32 pairs of hex digits"),
        ("events.namespace", "my_box: small letters, digits, _ and ."),
        ("engine.upstream_url", "http://127.0.0.1:8001/v1, without a user"),
        ("serve.cors_origins", "http://127.0.0.1:3000, or * for any"),
        ("watch.webhook_url", "https://host/path"),
        ("alerts.email_from", "llmops@example.org"),
        ("alerts.alertmanager_url", "http://127.0.0.1:9093, without a user"),
    ],
)
def test_what_fits_no_pattern_is_told_by_an_example(dial: str, example: str, an_empty_folder: Path) -> None:
    section, _, name = dial.partition(".")
    value = '["no good"]' if name == "cors_origins" else '"no good"'
    (an_empty_folder / "llmops.toml").write_text(f"[{section}]\n{name} = {value}\n")
    with pytest.raises(BadConfiguration) as told:
        load()
    assert str(told.value) == f"{dial} in llmops.toml is 'no good': it must look like {example}."


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            'webhook_secret = "whsec_48151623!"',
            "alerts.webhook_secret in llmops.toml can't be used: what follows whsec_",
        ),
        ('webhook_secret = ""', "alerts.webhook_secret in llmops.toml can't be used: it is empty."),
        ('apprise = "tgram://48151623"', "alerts.apprise in llmops.toml can't be used: write a list, as in"),
        ("apprise = [48151623]", "alerts.apprise in llmops.toml can't be used: input should be a valid string."),
        (
            'alertmanager_url = "http://me:48151623@box:9093"',
            "alerts.alertmanager_url in llmops.toml can't be used: it must look like http://127.0.0.1:9093",
        ),
    ],
)
def test_a_mistake_in_a_secret_of_a_channel_is_told_without_it(an_empty_folder: Path, line: str, sentence: str) -> None:
    (an_empty_folder / "llmops.toml").write_text(f"[alerts]\n{line}\n")
    with pytest.raises(BadConfiguration) as told:
        load()
    assert str(told.value).startswith(sentence)
    assert "48151623" not in str(told.value)


def test_the_secrets_of_channels_are_known_but_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_ALERTS__APPRISE", '["tgram://48151623/a", "slack://48151623"]')
    monkeypatch.setenv("LLMOPS_ALERTS__WEBHOOK_SECRET", "whsec_NDgxNTE2MjM=")
    monkeypatch.setenv("LLMOPS_ALERTS__EMAIL_PASSWORD", "48151623")
    monkeypatch.setenv("LLMOPS_ALERTS__EMAIL_USER", "me")
    loaded = load()
    alerts = loaded.settings.alerts
    assert alerts.apprise_urls == ["tgram://48151623/a", "slack://48151623"]
    assert (alerts.webhook_key, alerts.email_login) == (b"48151623", ("me", "48151623"))
    shown = {name: value for name, value, _, _ in loaded.rows()}
    assert shown["alerts.apprise"] == "**********, **********"
    assert "48151623" not in str(shown) + repr(alerts) + str(loaded.settings)
    monkeypatch.setenv("LLMOPS_ALERTS__WEBHOOK_SECRET", "a sentence")
    assert load().settings.alerts.webhook_key == b"a sentence"


def test_a_list_is_shown_as_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_ALERTS__EMAIL_TO", '["a@b", "c@d"]')
    shown = {name: value for name, value, _, _ in load().rows()}
    assert (shown["alerts.email_to"], shown["serve.cors_origins"]) == ("a@b, c@d", "")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://hooks.example.org/services/T0/B0/secret", "https://hooks.example.org/..."),
        ("https://me:word@hooks.example.org/?sig=secret", "https://hooks.example.org/..."),
        ("https://me:word@hooks.example.org", "https://hooks.example.org/..."),
        ("https://me:wo@rd@hooks.example.org/x", "https://hooks.example.org/..."),
        ("http://127.0.0.1:9093", "http://127.0.0.1:9093"),
    ],
)
def test_of_a_webhook_only_the_host_is_shown(address: str, shown: str) -> None:
    rows = {name: value for name, value, _, _ in load({"watch.webhook_url": address}).rows()}
    assert rows["watch.webhook_url"] == shown


def test_a_password_in_an_address_is_not_shown() -> None:
    rows = {name: value for name, value, _, _ in load({"watch.serve_url": "http://me:word@box:8000/v1"}).rows()}
    assert rows["watch.serve_url"] == "http://...@box:8000/v1"
