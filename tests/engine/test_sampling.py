from __future__ import annotations

import logging
from typing import Any

import pytest
from transformers import GenerationConfig

from llmops.engine.contract import Sampling
from llmops.engine.sampling import model_default, served_default


@pytest.mark.parametrize(
    ("own", "chosen", "used"),
    [
        ({}, Sampling(), Sampling(temperature=0.7, top_p=0.95)),
        ({}, Sampling(temperature=1.3), Sampling(temperature=1.3, top_p=0.95)),
        ({"do_sample": False}, Sampling(), Sampling(temperature=0.0, top_p=1.0)),
        ({"do_sample": False}, Sampling(temperature=0.4), Sampling(temperature=0.4, top_p=1.0)),
        ({"do_sample": True}, Sampling(), Sampling(temperature=1.0, top_p=1.0)),
        ({"top_p": 0.8, "top_k": 20}, Sampling(), Sampling(temperature=1.0, top_p=0.8, top_k=20)),
        ({"temperature": 0.6, "top_k": 20}, Sampling(top_k=0), Sampling(temperature=0.6, top_p=1.0)),
        ({"temperature": 7.0, "top_p": 0.9}, Sampling(), Sampling(temperature=1.0, top_p=0.9)),
        ({"temperature": -1.0, "top_k": -1}, Sampling(), Sampling(temperature=0.7, top_p=0.95)),
    ],
)
def test_sampling_defaults_are_the_operator_s_then_the_model_s_then_moderate_ones(
    own: dict[str, Any], chosen: Sampling, used: Sampling, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = GenerationConfig(**own)  # type: ignore[no-untyped-call]
    assert served_default("m", chosen, model_default(config)) == used
    assert f"sampling defaults of m: temperature {used.temperature:g}, top_p {used.top_p:g}" in caplog.messages[-1]
