from __future__ import annotations

import asyncio
import io
import sys
from types import SimpleNamespace

import pytest

from llmops.client import ChatOptions
from llmops.engine.contract import Sampling
from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.shell import chat
from tests.api.running import running


async def ask(message: str, options: ChatOptions, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    engine = EchoEngine(EchoDials(tokens_per_s=0, ttft_s=0, max_model_len=64), sampling=Sampling(temperature=0.6))
    async with running(engine) as server:
        code = await asyncio.to_thread(chat.run, server.url, message, api_key=None, options=options)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


async def test_what_the_answer_was_drawn_with_and_whose_choice_it_was_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = await ask("hello there", ChatOptions(system="Be brief.", top_p=0.5, seed=3), capsys)
    assert (code, out) == (0, "hello there\n")
    assert "system prompt set · temperature 0.6 (server's default) · top_p 0.5 · seed 3" in err


async def test_an_answer_that_was_cut_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = await ask("one two three four", ChatOptions(max_tokens=2), capsys)
    assert "The answer was cut off after 2 tokens as --max-tokens says" in err


async def test_a_message_that_is_too_long_is_told_by_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = await ask("so " * 100, ChatOptions(), capsys)
    assert (code, out) == (1, "")
    assert "the model's context is 64: shorten messages by " in err


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("temperature", "hot", "--temperature must be a number from 0 to 2, not 'hot'."),
        ("temperature", "-1", "--temperature must be a number from 0 to 2, not '-1'."),
        ("top_p", "0", "--top-p must be a number above 0 and at most 1, not '0'."),
        ("top_k", "0", "--top-k must be a whole number from 1 to 2147483647, not '0'."),
        ("seed", "1e9", "--seed must be a whole number from "),
        ("max_tokens", "\x1b[2J", "not '\\x1b[2J'."),
    ],
)
def test_a_flag_that_can_not_be_used_is_one_sentence(
    name: str, text: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat.options_of(None, {name: text}) is None
    assert sentence in capsys.readouterr().err


def test_standard_input_without_an_end_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = io.BytesIO(b"y\n" * 100_000)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=endless))
    assert chat.standard_input(1000) is None
    assert endless.tell() == 1001
    assert "standard input holds more than 1000 bytes" in capsys.readouterr().err
