"""Dials of what judges and shows: watch, the self-benchmark, the canary, the objectives, the terminal."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from llmops.settings.section import Fraction, PositiveSeconds, Section


class WatchSettings(Section):
    """Follows the record and judges it."""

    serve_url: str | None = Field(None, description="which serve to watch; empty: the [serve] address")
    api_key: SecretStr | None = Field(None, description="key for that serve: of watch, tui, chat, bench and status")
    interval_s: PositiveSeconds = Field(1.0, description="between two looks at journal, serve and objectives")
    webhook_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] | None = Field(
        None, description="alerts are POSTed here as JSON; empty: console only", examples=["https://host/path"]
    )
    serve_down_for_s: float = Field(5.0, ge=0, description="serve may be unreachable this long before an alert")
    serve_start_for_s: float = Field(
        60.0, ge=0, description="the same until it has answered this watch for the first time: it loads its libraries"
    )

    @property
    def key(self) -> str | None:
        """The API key in clear, for a header and nothing else."""
        return None if self.api_key is None else self.api_key.get_secret_value()


class BenchSettings(Section):
    """The self-benchmark."""

    interval_s: PositiveSeconds = Field(6 * 3600.0, description="between two scheduled runs")
    enabled: bool = Field(True, description="false schedules none")
    retry_s: PositiveSeconds = Field(60.0, description="users are waiting: try again after this long")
    requests: int = Field(8, gt=0, description="requests of one run")
    concurrency: int = Field(2, gt=0, description="of them at once")
    max_tokens: int = Field(32, gt=0, description="answer length of each")


class CanarySettings(Section):
    """A tiny question that watch asks serve now and then, as any client would; users' figures leave it out."""

    enabled: bool = Field(True, description="false asks none")
    interval_s: PositiveSeconds = Field(60.0, description="between two; none is asked while users are there")
    max_tokens: int = Field(4, gt=0, description="answer length")
    timeout_s: PositiveSeconds = Field(30.0, description="an answer that takes longer is none")


class ObjectiveSettings(Section):
    """What good means. Ratios count eligible requests over the window."""

    file: Annotated[str, Field(pattern=r"^$|\.(toml|yaml|yml)$")] = Field(
        "",
        description="objectives as TOML or OpenSLO v1; empty: availability, latency and ttft of the dials below",
        examples=["objectives.toml", "objectives.yaml"],
    )
    window_s: PositiveSeconds = Field(30 * 86400.0, description="rolling window of the error budgets")
    latency_threshold_s: PositiveSeconds = Field(3.0, description="a request slower than this is bad")
    latency_target: Fraction = Field(0.99, description="share of requests that must be faster")
    availability_target: Fraction = Field(0.999, description="share of requests that must succeed")
    ttft_threshold_s: PositiveSeconds = Field(2.0, description="a first token later than this is bad")
    ttft_target: Fraction = Field(0.95, description="share of first tokens that must come earlier")
    speed_target: Fraction = Field(
        0.99, description="share of requests that must finish within the time that their length may take"
    )
    speed_base_s: PositiveSeconds = Field(3.0, description="seconds that any request may take, whatever its length")
    speed_margin: float = Field(
        3.0, ge=1, description="and so many times what prompt and answer take at the measured speed"
    )
    speed_per_token_s: PositiveSeconds | None = Field(
        None, description="seconds for each token of an answer; empty: measured, with the margin"
    )
    vram_source: Literal["nvml_used", "torch_reserved", "torch_allocated"] = Field(
        "nvml_used", description="what counts as used: all on the card, what torch keeps of it, or what torch fills"
    )
    vram_fire: Fraction = Field(0.80, description="share of device memory above which an alert goes pending")
    vram_clear: Fraction = Field(0.75, description="share below which it clears")
    vram_for_s: float = Field(120.0, ge=0, description="it must stay above this long")
    vram_keep_s: float = Field(300.0, ge=0, description="it must stay clear this long")
    keep_s: float = Field(300.0, ge=0, description="a burn must be under its threshold this long before its alert ends")
    min_bad: int = Field(3, ge=1, description="fewer bad requests in the window never page")
    min_total: int = Field(50, ge=1, description="of fewer requests in the window half must be bad for a page")


class TuiSettings(Section):
    """The terminal."""

    refresh_s: PositiveSeconds = Field(1.0, description="between two looks")
    language: Literal["auto", "en", "zh"] = Field("auto", description="auto: from LANG")
    theme: str = Field("llmops-dark", description="name of a theme; `t` in the terminal goes through them")
    keys: dict[str, str] = Field(
        default_factory=dict, description='changed keys: action = "key", as in quit = "ctrl+q"'
    )
