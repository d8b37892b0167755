"""Dials of alerts: who is told, how soon, how often, and in which language."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field

from llmops.settings.section import Section


class AlertSettings(Section):
    """How people are told. A page leaves at once; tickets gather."""

    language: Literal["auto", "en", "zh"] = Field("auto", description="of messages; auto: from LANG")
    group_wait_s: float = Field(30.0, ge=0, description="the first ticket of a group waits so long for others")
    group_interval_s: float = Field(300.0, ge=0, description="after a message of a group, tickets wait so long")
    repeat_interval_s: float = Field(4 * 3600.0, ge=0, description="what still fires is told again; 0: never")

    @property
    def spoken(self) -> Literal["en", "zh"]:
        """The language that `auto` comes to."""
        if self.language != "auto":
            return self.language
        return "zh" if (os.environ.get("LC_ALL") or os.environ.get("LANG") or "").lower().startswith("zh") else "en"
