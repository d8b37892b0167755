"""Dials of Elasticsearch: where it is, who we are there, how long it keeps what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from llmops.settings.section import PositiveSeconds, Section

Url = Annotated[str, Field(pattern=r"^https?://[^\s/,@]+(:\d+)?(/[^\s,]*)?$")]
Days = Annotated[int, Field(ge=1, le=36500)]


class ElasticSettings(Section):
    """Where `llmops ship` and `llmops elk` find it. The streams' namespace is `events.namespace`."""

    url: Url = Field(
        "http://127.0.0.1:9200",
        description="of the server, or of what stands in front of it",
        examples=["http://127.0.0.1:9200, without a user"],
    )
    api_key: SecretStr | None = Field(None, description="key, as encoded; empty: the one that `elk setup` made")
    username: str = Field("elastic", description="with password; a key goes before it")
    password: SecretStr | None = Field(None, description="of that user")
    ca_certs: Annotated[Path, AfterValidator(Path.expanduser)] | None = Field(
        None, description="file of the authority that signed its certificate"
    )
    fingerprint: str | None = Field(
        None,
        pattern=r"^([0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$",
        description="SHA-256 of its certificate, instead",
        examples=["4A:0F:..., 32 pairs of hex digits"],
    )
    verify: bool = Field(True, description="false takes any certificate: who is between can read and change all")
    timeout_s: PositiveSeconds = Field(30.0, description="for one answer")
    longest_wait_s: PositiveSeconds = Field(30.0, description="between two tries of ship; they begin at half a second")
    poll_s: PositiveSeconds = Field(1.0, description="between two looks of ship at the journal")
    kibana_url: Url | None = Field(
        None,
        description="where `elk setup` puts the dashboards; empty: nowhere",
        examples=["https://127.0.0.1:5601, without a user"],
    )
    request_days: Days = Field(30, description="requests are kept this long, and the proxy's access log")
    sample_days: Days = Field(7, description="samples of the hardware")
    alert_days: Days = Field(365, description="transitions of alerts")
    benchmark_days: Days = Field(365, description="benchmarks")

    @property
    def login(self) -> tuple[str, str] | str | None:
        """The key in clear, or else user and password; None where no dial names any."""
        if self.api_key is not None:
            return self.api_key.get_secret_value()
        return (self.username, self.password.get_secret_value()) if self.password is not None else None

    @property
    def keep_days(self) -> dict[str, int]:
        """How long each `event.dataset` is kept."""
        return {
            "llmops.request": self.request_days,
            "llmops.access": self.request_days,
            "llmops.gpu": self.sample_days,
            "llmops.alert": self.alert_days,
            "llmops.benchmark": self.benchmark_days,
        }
