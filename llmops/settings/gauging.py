"""Dials of the rules beside the objectives: when a card is hot, when a disk is full."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from llmops.settings.section import Fraction, Section


def _beyond(other: str, *, is_above: bool) -> AfterValidator:
    """A limit to clear lies on the quiet side of the one that fires, or the alert would never end."""

    def check(value: float, info: ValidationInfo) -> float:
        limit = info.data.get(other)
        if limit is not None and (value < limit if is_above else value > limit):
            said = {"side": "least" if is_above else "most", "other": other, "limit": limit}
            raise PydanticCustomError("clear_limit", "make it at {side} gauges.{other} ({limit})", said)
        return value

    return AfterValidator(check)


class GaugeSettings(Section):
    """Each alert fires at one value and clears at another."""

    temperature_fire_c: float = Field(87.0, gt=0, description="the hottest GPU is at least this warm, in °C")
    temperature_clear_c: Annotated[float, _beyond("temperature_fire_c", is_above=False)] = Field(
        82.0, gt=0, validate_default=True, description="below it the alert clears"
    )
    temperature_for_s: float = Field(120.0, ge=0, description="it must stay above this long")
    temperature_keep_s: float = Field(300.0, ge=0, description="it must stay clear this long")
    leak_fire: Fraction = Field(0.02, description="memory of the card has grown beyond its need, by this share of it")
    leak_clear: Annotated[Fraction, _beyond("leak_fire", is_above=False)] = Field(
        0.01, validate_default=True, description="share below which it clears"
    )
    disk_fire: Fraction = Field(0.05, description="a smaller share of the disk of the state directory is free")
    disk_clear: Annotated[Fraction, _beyond("disk_fire", is_above=True)] = Field(
        0.08, validate_default=True, description="share above which it clears"
    )
    disk_fire_bytes: int = Field(1 << 30, ge=0, description="or less than this is free")
    disk_clear_bytes: Annotated[int, _beyond("disk_fire_bytes", is_above=True)] = Field(
        2 << 30, ge=0, validate_default=True, description="bytes above which it clears"
    )
