"""The model that ships in the package answers what it must, refuses the rest, and stays small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

FOLDER = Path(__file__).parents[2] / "llmops" / "demo_model"
FILES = {
    "README.md",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model() -> Any:
    loaded: Any = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    return loaded.eval()


def ask(model: Any, tokenizer: Any, *chats: list[dict[str, str]]) -> list[str]:
    """The greedy answers to several chats at once, special tokens left in."""
    prompts = tokenizer.apply_chat_template(list(chats), tokenize=False, add_generation_prompt=True)
    inputs = tokenizer(prompts, return_tensors="pt", padding=True)
    with torch.inference_mode():
        out = model.generate(**inputs, max_new_tokens=300, do_sample=False)
    width = inputs["input_ids"].shape[1]
    return [str(text) for text in tokenizer.batch_decode(out[:, width:])]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


# A model this small misses some: the model card says how many. A retrained one must not fall below this share.
SHARE = 0.9
SHARE_REFUSED = 0.8

# None of these sentences is in the corpus as a trained question.
KNOWN = [
    ("how much VRAM do I need for a 7B model?", ["14 to 15 GB", "4 to 6 GB"]),
    ("what does 4-bit quantisation do to a model?", ["NF4", "0.5625"]),
    ("can you tell me what P99 means?", ["99 %", "slower"]),
    ("can you tell me what an error budget is?", ["100 failures"]),
    ("can you tell me what a burn rate is?", ["14.4", "2 %"]),
    ("what should I do about CUDA out of memory?", ["engine.max_model_len", "expandable_segments:True"]),
    ("how can I fix repetitive output?", ["`temperature` 0.7 to 1.0", "0.9 to 0.95"]),
    ("my GPUs are not evenly loaded, what can I do?", ["nvidia-smi topo -m", "NVLink"]),
    ("which keys are there on the screen?", ["`q`", "`Ctrl-P`", "`A`"]),
    ("what keyboard shortcuts does the tui have?", ["`/`", "pause"]),
    ("so who are you exactly?", ["demo model", "llmops"]),
    ("运行 7B 模型要多少显存？", ["14 到 15 GB", "4 到 6 GB"]),
    ("4 位量化能省多少显存？", ["NF4", "0.5625"]),
    ("P99 代表什么？", ["99 %"]),
    ("错误预算代表什么？", ["100 次失败"]),
    ("燃烧率代表什么？", ["14.4", "2 %"]),
    ("CUDA 显存不足该怎么办？", ["engine.max_model_len", "expandable_segments:True"]),
    ("输出总是重复怎么解决？", ["0.7 到 1.0", "0.9 到 0.95"]),
    ("多张 GPU 负载不均怎么办？", ["nvidia-smi topo -m", "NVLink"]),
    ("界面上有哪些快捷键？", ["`q`", "`Ctrl-P`", "`A`"]),
    ("429 跟 503 的区别是什么？", ["令牌桶", "队列满"]),
]

OFF_TOPIC = [
    ("what is the capital of Portugal?", "I am a tiny demo model and only know about llmops"),
    ("write a poem about the stars", "I am a tiny demo model and only know about llmops"),
    ("how do vaccines work?", "I am a tiny demo model and only know about llmops"),
    ("葡萄牙的首都是哪里？", "我是一个很小的演示模型，只了解 llmops"),
    ("写一首关于星星的诗", "我是一个很小的演示模型，只了解 llmops"),
    ("推荐一家餐厅", "我是一个很小的演示模型，只了解 llmops"),
]


@pytest.fixture(scope="module")
def answers(model: Any, tokenizer: Any) -> dict[str, str]:
    """All of them in one batch: a second instead of half a minute."""
    questions = [question for question, _ in KNOWN] + [question for question, _ in OFF_TOPIC]
    return dict(zip(questions, ask(model, tokenizer, *([user(question)] for question in questions)), strict=True))


def test_questions_worded_anew_get_their_answers(answers: dict[str, str]) -> None:
    missed = [question for question, required in KNOWN if any(words not in answers[question] for words in required)]
    assert len(missed) <= (1 - SHARE) * len(KNOWN), missed


def test_questions_about_anything_else_get_the_honest_answer(answers: dict[str, str]) -> None:
    missed = [question for question, opening in OFF_TOPIC if not answers[question].startswith(opening)]
    assert len(missed) <= (1 - SHARE_REFUSED) * len(OFF_TOPIC), missed


def test_every_answer_ends_by_itself(answers: dict[str, str]) -> None:
    assert [question for question, answer in answers.items() if "<|im_end|>" not in answer] == []


def test_a_system_message_and_earlier_turns_do_not_derail_it(model: Any, tokenizer: Any) -> None:
    first, alone = ask(model, tokenizer, [user("what is P99?")], [user("what is an error budget?")])
    chat = [
        {"role": "system", "content": "You are a helpful assistant."},
        user("what is P99?"),
        {"role": "assistant", "content": first.split("<|im_end|>")[0]},
        user("what is an error budget?"),
    ]
    after = ask(model, tokenizer, chat)[0]
    assert "100 failures" in after
    assert after.split("<|im_end|>")[0] == alone.split("<|im_end|>")[0]


def test_the_folder_is_small_and_holds_only_what_transformers_reads() -> None:
    assert {path.name for path in FOLDER.iterdir()} == FILES
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 8_000_000


def test_it_has_two_to_six_million_parameters(model: Any) -> None:
    assert 2_000_000 <= sum(weight.numel() for weight in model.parameters()) <= 6_000_000


def test_the_template_writes_chatml_and_opens_the_answer(tokenizer: Any) -> None:
    messages = [{"role": "system", "content": "Be brief."}, user("你好")]
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_end_of_an_answer_is_the_same_everywhere(model: Any, tokenizer: Any) -> None:
    assert tokenizer.eos_token == "<|im_end|>"
    assert model.config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.eos_token_id in (tokenizer.eos_token_id, [tokenizer.eos_token_id])
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id


@pytest.mark.parametrize("text", ["naïve café", "显存不足 🚀👩‍💻", "龘靐齉", "tab\tand  two spaces\n\nx", "1234.5 GB"])
def test_any_text_survives_the_tokenizer(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
