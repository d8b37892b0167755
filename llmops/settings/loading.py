"""Puts the dials together: flags over environment over llmops.toml over defaults, and remembers which won."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from llmops.documents import BadDocument, load_toml, shown
from llmops.settings.dials import Settings
from llmops.state.files import sentence_of

COMMAND_LINE = "command line"
_PREFIX = "LLMOPS_"
_FILE_VARIABLE = "LLMOPS_CONFIG"
_DEFAULT_FILE = Path("llmops.toml")
_COMPARED_CHARACTERS = 100
_WITH_USER = re.compile(r"//[^/]*@")
"""An address with a user in it has a password too."""
_HOOKS = frozenset({"watch.webhook_url"})
"""Whoever knows these addresses may post there: the path is a key."""


class BadConfiguration(Exception):
    """A dial that cannot be used; `str(error)` is one sentence that names it, where it stands and the fix."""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The dials, and for each dotted name where its value came from."""

    settings: Settings
    origins: Mapping[str, str]

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """(dotted name, value, where it came from, what it is), in the order of the file."""
        for section, model in self.settings:
            for name, field in type(model).model_fields.items():
                dotted = f"{section}.{name}"
                value = getattr(model, name)
                shown = _shown(value)
                if dotted in _HOOKS:
                    shown = _host_of(shown)
                yield dotted, shown, self.origins.get(dotted, "default"), field.description or ""


def _shown(value: Any) -> str:
    """A secret shows as stars, in a list too; a user and password in an address do not show."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else _WITH_USER.sub("//...@", str(value))


def _host_of(address: str) -> str:
    parts = urlsplit(address)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return address if address in ("", host) else f"{host}/..."


def load(flags: Mapping[str, Any] | None = None) -> Loaded:
    """Read every source. `flags` maps dotted names to values; None means that the flag was not given.

    Raises BadConfiguration with one sentence.
    """
    origins: dict[str, str] = {}
    merged: dict[str, dict[str, Any]] = {}
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    for layer, where in (_from_file(), _from_environment(), (_nest(given), COMMAND_LINE)):
        for section, values in layer.items():
            if not isinstance(values, dict):
                raise BadConfiguration(f"{section} in {where} must be a section: write [{section}] above its dials.")
            merged.setdefault(section, {}).update(values)
            origins.update({f"{section}.{name}": _label(where, section, name) for name in values})
    try:
        return Loaded(Settings.model_validate(merged), origins)
    except ValidationError as error:
        raise BadConfiguration(_sentence(error, origins)) from None


def _label(where: str, section: str, name: str) -> str:
    return f"{_PREFIX}{section}__{name}".upper() if where == "environment" else where


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for dotted, value in flat.items():
        section, name = dotted.split(".", 1)
        nested.setdefault(section, {})[name] = value
    return nested


def _from_file() -> tuple[dict[str, Any], str]:
    named = os.environ.get(_FILE_VARIABLE)
    path = Path(named) if named else _DEFAULT_FILE
    if not named and not path.exists():
        return {}, str(path)
    try:
        return load_toml(path), str(path)
    except OSError as error:
        why = f"names {path}, which cannot be read: {error.strerror or str(error).rstrip('.')}" if named else None
        raise BadConfiguration(f"{_FILE_VARIABLE} {why}." if why else sentence_of(error)) from None
    except BadDocument as error:
        raise BadConfiguration(f"{path} {error}.") from None


def _from_environment() -> tuple[dict[str, Any], str]:
    known = {f"{_PREFIX}{name.replace('.', '__')}".upper() for name in _names()}
    for variable in os.environ:
        if variable.startswith(_PREFIX) and "__" in variable and variable.upper() not in known:
            raise BadConfiguration(f"{variable} in the environment is no dial{_closest(variable.upper(), known)}")
    source = EnvSettingsSource(
        _Environment, case_sensitive=False, env_prefix=_PREFIX, env_nested_delimiter="__", env_ignore_empty=True
    )
    try:
        return {section: values for section, values in source().items() if isinstance(values, dict)}, "environment"
    except Exception as error:  # pydantic-settings raises its own kind for JSON that does not parse
        raise BadConfiguration(_unparsed() or f"The environment cannot be read: {error}.") from None


def _unparsed() -> str | None:
    """The first variable of a list or a table that is no JSON, told without its value."""
    for name in _names():
        field, variable = _field(name), f"{_PREFIX}{name.replace('.', '__')}".upper()
        given = next((value for known, value in os.environ.items() if known.upper() == variable), None)
        if given and field is not None and any(word in str(field.annotation) for word in ("tuple", "dict")):
            try:
                json.loads(given)
            except (ValueError, RecursionError):
                return f'{variable} in the environment must be JSON: a list as ["a", "b"], a table as {{"a": "b"}}.'
    return None


class _Environment(BaseSettings, Settings):  # type: ignore[misc]  # both spell model_config
    """The same dials in the form that pydantic-settings reads variables for."""


def _names() -> Iterator[str]:
    for section, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (f"{section}.{name}" for name in model.model_fields)


def _closest(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name[:_COMPARED_CHARACTERS], known, n=1)
    return f": did you mean {near[0]}?" if near else "; `llmops config show` lists them."


def _sentence(error: ValidationError, origins: Mapping[str, str]) -> str:
    """The first complaint as a sentence: dial, place, what is wrong, what would be right; never with a secret."""
    first = error.errors()[0]
    name = ".".join(str(part)[:_COMPARED_CHARACTERS] for part in first["loc"][:2])
    origin = origins.get(name, "the configuration")
    where = f"on the {origin}" if origin == COMMAND_LINE else f"in {origin}"
    if first["type"] == "extra_forbidden":
        known = set(_names()) if "." in name else set(Settings.model_fields)
        return f"{name} {where} is no dial{_closest(name, known)}"
    wrong = first["msg"][0].lower() + first["msg"][1:]
    field = _field(name)
    if first["type"] == "string_pattern_mismatch" and field is not None and field.examples:
        wrong = f"it must look like {field.examples[0]}"
    if first["type"] == "tuple_type":
        wrong = 'write a list, as in ["a", "b"]'
    if name not in origins and not first["input"]:
        return f"{name} is empty: {wrong}."
    if (field is not None and "SecretStr" in str(field.annotation)) or _WITH_USER.search(_text(first["input"])):
        return f"{name} {where} can't be used: {wrong}."
    return f"{name} {where} is {shown(first['input'])}: {wrong}."


def _text(value: object) -> str:
    try:
        return str(value)
    except (ValueError, RecursionError):  # a number of too many digits
        return ""


def _field(name: str) -> FieldInfo | None:
    section, _, dial = name.partition(".")
    model = Settings.model_fields[section].annotation if section in Settings.model_fields else None
    return model.model_fields.get(dial) if isinstance(model, type) and issubclass(model, BaseModel) else None
