"""The catalogues that ship, for tests."""

from __future__ import annotations

from llmops.fit.cards import Box, box_of
from llmops.fit.catalogue import model_named
from llmops.fit.model import Model
from llmops.shell.fitting import read_known

KNOWN = read_known()


def model(name: str) -> Model:
    return model_named(name, KNOWN.models)


def box(name: str) -> Box:
    return box_of(name, KNOWN.cards)
