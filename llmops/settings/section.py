"""What every group of dials is, and the kinds of value that several of them have."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PositiveSeconds = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A group of dials; a name that is none of them is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)
