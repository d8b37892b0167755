"""Fields of the APIs of OpenAI, vLLM, SGLang, llama.cpp and Ollama that are not honoured here: refused or ignored.

A field that would change the answer is refused by name, unless its value changes nothing; the others are ignored.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from llmops.inference.errors import InvalidRequest

_log = logging.getLogger(__name__)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


HARMLESS = (
    # bookkeeping, and how the answer is computed
    _names(
        """
    user metadata store service_tier safety_identifier prompt_cache_key prompt_cache_retention prediction
    request_id rid priority cache_salt cache_prompt id_slot slot_id keep_alive n_keep n_discard
    data_parallel_rank bootstrap_host bootstrap_port bootstrap_room kv_transfer_params parallel_tool_calls
    parse_tool_calls
    """
    )
    # details of features that are refused by their own name
    | _names(
        """
    mirostat_tau mirostat_eta dynatemp_exponent xtc_threshold dry_base dry_allowed_length dry_penalty_last_n
    dry_sequence_breakers repeat_last_n penalize_nl early_stopping guided_decoding_backend
    guided_whitespace_pattern grammar_lazy grammar_triggers preserved_tokens mm_processor_kwargs media_io_kwargs
    min_keep
    """
    )
    # details of how an answer is shown that show nothing here
    | _names(
        """
    include_reasoning separate_reasoning stream_reasoning timings_per_token return_progress post_sampling_probs
    return_tokens_as_token_ids spaces_between_special_tokens
    """
    )
)
"""Ignored: the answer is the same with them."""

_FIXES = {
    **dict.fromkeys(("max_new_tokens", "n_predict", "num_predict", "max_output_tokens"), "send max_tokens"),
    **dict.fromkeys(("stop_sequences", "stopping_strings"), "send stop"),
    "min_new_tokens": "send min_tokens",
    "random_seed": "send seed",
    "do_sample": "send temperature, 0 for greedy",
    "extra_body": "send its fields beside the others: it is a parameter of the SDKs, not of the API",
    "options": "send its fields beside the others, as in max_tokens for num_predict",
    "num_ctx": "the operator sets the context with engine.max_model_len",
    "format": "leave it out",
    "think": "send chat_template_kwargs",
    "thinking": "send chat_template_kwargs",
    "reasoning": "send reasoning_effort",
}
"""Other names of what is honoured, and what else is more of a help than "leave it out"."""

_UNSUPPORTED = _names(
    """
    chat_template_kwargs enable_thinking reasoning_effort continue_final_message add_generation_prompt
    tools tool_choice functions function_call audio web_search_options verbosity response_format logit_bias
    top_logprobs best_of suffix echo thinking_budget thinking_token_budget chat_template documents guided_json
    guided_regex guided_choice guided_grammar guided_json_object structured_outputs structural_tag regex ebnf
    json_schema grammar stop_regex no_stop_trim include_stop_str_in_output skip_special_tokens detokenize
    add_special_tokens truncate_prompt_tokens prompt_logprobs prompt_embeds return_token_ids
    return_hidden_states return_tokens return_logprob logprob_start_len top_logprobs_num allowed_token_ids
    bad_words logits_processors custom_logit_processor custom_params use_beam_search num_beams length_penalty
    repetition_detection vllm_xargs lora lora_path session_params image_data input_ids input_embeds n_probs
    n_indent t_max_predict_ms samplers response_fields reasoning_format top_n_sigma tfs_z typical_p typical
    top_a repeat_penalty mirostat mirostat_mode dynatemp_range xtc_probability dry_multiplier smoothing_factor
    epsilon_cutoff eta_cutoff no_repeat_ngram_size encoder_repetition_penalty penalty_alpha watermark raw
    template context
    """
) | frozenset(_FIXES)

_UNSUPPORTED_OF_VECTORS = _names(
    """
    truncate truncate_prompt_tokens add_special_tokens input_type task prompt prompt_name instruction
    instructions messages normalize embd_normalize pooling softmax activation use_activation options image
    images late_chunking embedding_type output_dtype output_dimension embed_dtype
    """
)

_OFF: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(
        ("repeat_penalty", "tfs_z", "typical_p", "typical", "length_penalty", "num_beams", "best_of"), (1,)
    ),
    "encoder_repetition_penalty": (1,),
    **dict.fromkeys(("top_n_sigma", "t_max_predict_ms", "truncate_prompt_tokens", "logprob_start_len"), (-1, 0)),
    **dict.fromkeys(("skip_special_tokens", "detokenize"), (True,)),
    **dict.fromkeys(("tool_choice", "function_call"), ("auto", "none")),
    **dict.fromkeys(("do_sample", "add_generation_prompt"), (True,)),
    "reasoning_effort": ("none",),
    "reasoning_format": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "verbosity": ("medium",),
    "truncate": ("NONE",),
    "normalize": (True,),
    "embd_normalize": (2,),
    **dict.fromkeys(("embedding_type", "output_dtype", "embed_dtype"), ("float", "float32")),
}
"""Values that change nothing, beside null, false, 0 and what is empty."""
_NEVER_OFF = frozenset({"think"})
"""False changes what a reasoning model writes."""
_SPECIAL_TOKENS = "add_special_tokens"

_NOT_PASSED_BACK = _names(
    """
    prompt_logprobs return_token_ids return_hidden_states return_tokens return_logprob n_probs audio
    """
)
"""An upstream's answers to these have no place in an answer of this server."""

_SHOWN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_SHOWN = 10
_SHORTEST_TYPO, _LONGEST_TYPO, _ALIKE = 4, 32, 0.9
_MOST_LOGGED = 1_000
_logged: set[str] = set()


def check_text_fields(extra: Mapping[str, object], honoured: Collection[str], *, forwards: bool) -> tuple[str, ...]:
    """The names of the fields that are ignored because nothing here knows them. Raises InvalidRequest for the first
    one that would change the answer.

    extra: the fields of a body that its model does not have. forwards: the engine passes them on to a server that may
    know them.
    """
    if not forwards:
        return _check(extra, honoured, _UNSUPPORTED)
    for name in _NOT_PASSED_BACK & extra.keys():
        _refuse_unless_off(name, extra[name])
    return ()


def check_embedding_fields(extra: Mapping[str, object], honoured: Collection[str]) -> tuple[str, ...]:
    """The same for a request of vectors."""
    return _check(extra, honoured, _UNSUPPORTED_OF_VECTORS)


def _check(extra: Mapping[str, object], honoured: Collection[str], unsupported: Collection[str]) -> tuple[str, ...]:
    unknown: list[str] = []
    for name, value in extra.items():
        if name == _SPECIAL_TOKENS and value is ("prompt" in honoured):
            continue  # as it is here: a chat template writes them, bare text gets them
        if name in unsupported:
            _refuse_unless_off(name, value)
        elif name not in HARMLESS and len(unknown) < _MOST_SHOWN:
            _refuse_a_typo(name, honoured)
            unknown.append(name)
    shown = tuple(name for name in unknown if _SHOWN.fullmatch(name))
    _log_once(shown)
    return shown


def _refuse_unless_off(name: str, value: object) -> None:
    if not _is_off(name, value):
        raise InvalidRequest(f"{name} is not supported here; {_FIXES.get(name, 'leave it out')}.", name)


def _is_off(name: str, value: object) -> bool:
    off = _OFF.get(name, ())
    if value is None or any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in off):
        return True
    return not value and name not in _NEVER_OFF and 1 not in off  # 1 equals true


def _refuse_a_typo(name: str, honoured: Iterable[str]) -> None:
    """`maxTokens` and `temprature` would leave the server's own values in force without a word."""
    plain = _plain(name)
    if not _SHORTEST_TYPO <= len(plain) <= _LONGEST_TYPO:
        return
    fields = {_plain(field): field for field in honoured}
    for close in get_close_matches(plain, fields, n=1, cutoff=_ALIKE):
        raise InvalidRequest(f"{name} is no field of this API; did you mean {fields[close]}?", name)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _log_once(names: Iterable[str]) -> None:
    for name in names:
        if name not in _logged and len(_logged) < _MOST_LOGGED:
            _logged.add(name)
            _log.warning("the field %s of a request is not known here and is ignored; this is logged once", name)
