"""Dials of the store: how long the index keeps what. The journal has its own ages."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from llmops.settings.section import Section

Days = Annotated[float, Field(gt=0, le=36_500)]


class StoreSettings(Section):
    """How long SQLite keeps rows and sums; what is older is deleted hour by hour while watch runs."""

    requests_d: Days = Field(35.0, description="days that each request is kept; older ones are told from sums")
    samples_d: Days = Field(7.0, description="days that hardware samples are kept")
    alerts_d: Days = Field(365.0, description="days that alerts and benchmarks are kept")
    minutes_d: Days = Field(90.0, description="days that sums of minutes are kept")
    hours_d: Days = Field(
        730.0, validate_default=True, description="days that sums of hours are kept; not less than requests and minutes"
    )

    @field_validator("hours_d")
    @classmethod
    def _covers_the_rest(cls, value: float, info: ValidationInfo) -> float:
        """What is older than the rows is told from these sums."""
        least = max(info.data.get("requests_d", 0.0), info.data.get("minutes_d", 0.0))
        if value < least:
            text = "make it at least store.requests_d and store.minutes_d ({least})"
            raise PydanticCustomError("hours_cover", text, {"least": f"{least:g}"})
        return value
