"""A key is shown once, found by what it is, and read back from what was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.admission.keys import PREFIX, BadKeys, KeyRing, make_key, read_keys, write_keys


def test_a_key_opens_and_nothing_else_does() -> None:
    (ann, text), (bo, other) = make_key("ann", 1.0), make_key("bo", 2.0)
    ring = KeyRing([ann, bo])
    assert text.startswith(PREFIX)
    assert ring.find(text.encode()) == ann
    assert ring.find(other.encode()) == bo
    for wrong in (b"", text[:-1].encode(), (text + "x").encode(), ann.digest.encode(), text.upper().encode()):
        assert ring.find(wrong) is None
    assert ring.without(ann.id).find(text.encode()) is None
    assert ring.without("unknown").keys == ring.keys


def test_a_presented_key_of_any_length_costs_the_same() -> None:
    key, text = make_key("ann", 1.0)
    assert KeyRing([key]).find(text.encode() + b"x" * 10_000_000) is None


def test_what_is_kept_does_not_hold_the_key() -> None:
    key, text = make_key("ann", 1.0)
    written = write_keys(KeyRing().with_key(key))
    assert text not in written
    assert text[len(PREFIX) : -4] not in written
    assert json.loads(written)["keys"][0]["last4"] == text[-4:]


def test_keys_are_read_back_as_they_were_written() -> None:
    ring = KeyRing([make_key(name, at)[0] for name, at in (("ann", 1.5), ("ann", 2.0), ("team@home.de", 3.0))])
    assert read_keys(write_keys(ring)).keys == ring.keys


def test_no_two_keys_are_alike() -> None:
    made = [make_key("ann", 1.0) for _ in range(100)]
    assert len({text for _, text in made}) == len({key.id for key, _ in made}) == 100
    assert {len(text) for _, text in made} == {len(PREFIX) + 43}


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 65, "a\n", "é", "../a", "a/b"])
def test_a_name_that_the_record_should_not_hold_is_refused(name: str) -> None:
    with pytest.raises(BadKeys, match="name is 1 to 64"):
        make_key(name, 1.0)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda each: (
            st.lists(each)
            | st.dictionaries(st.sampled_from(["version", "keys", "id", "name", "sha256", "last4", "created_at"]), each)
        ),
        max_leaves=20,
    )
)
def test_a_file_that_is_not_ours_is_one_sentence(content: object) -> None:
    with pytest.raises(BadKeys):
        read_keys(json.dumps({"version": 1, "keys": [content]}))
    with pytest.raises(BadKeys):
        read_keys(json.dumps([content]))
    with pytest.raises(BadKeys):
        read_keys("{")


def test_a_file_of_a_later_version_is_not_guessed_at() -> None:
    with pytest.raises(BadKeys, match="version 2"):
        read_keys('{"version": 2, "keys": []}')


def test_a_broken_digest_is_refused() -> None:
    key, _ = make_key("ann", 1.0)
    for was, becomes in ((key.digest, key.digest[:-2]), (key.digest, "zz"), ('"ann"', '"a b"')):
        with pytest.raises(BadKeys):
            read_keys(write_keys(KeyRing([key])).replace(was, becomes))
