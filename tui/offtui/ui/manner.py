"""The values of a manner by llama.cpp's names: how each is typed, shown and checked. Pure but for grammar files."""

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from offtui.errors import UsageError
from offtui.protocol.spec import Sampling
from offtui.store.manners import Manner
from offtui.text import clean, clean_line

AUTO = "auto"
MAX_GRAMMAR = 200_000
"""Bytes of a grammar's file."""
_ESCAPES = {"\\n": "\n", "\\t": "\t"}


@dataclass(frozen=True)
class Value:
    """One value: its bounds, or the words it may be."""

    about: str
    """What it does, in a few words; with llama.cpp's default."""
    low: float | None = None
    high: float | None = None
    is_whole: bool = False
    words: tuple[str, ...] = ()


VALUES: Mapping[str, Value] = {
    "temperature": Value("0 is greedy, higher is wilder", 0, 10),
    "top_k": Value("the k likeliest; 0 keeps all", 0, 2**31 - 1, True),
    "top_p": Value("the likeliest that make up p; 1 keeps all", 0, 1),
    "min_p": Value("from p of the likeliest on; 0 keeps all", 0, 1),
    "repeat_penalty": Value("above 1 avoids repeating", 0.01, 10),
    "repeat_last_n": Value("tokens penalties look back on; -1 all", -1, 2**31 - 1, True),
    "presence_penalty": Value("for what has come at all", -10, 10),
    "frequency_penalty": Value("for how often it has come", -10, 10),
    "seed": Value("the same seed, the same answer", 0, 2**32 - 2, True),
    "max_tokens": Value("longest answer", 1, 2**24, True),
    "stop": Value('texts that end it: "###" "\\nUser:"'),
    "grammar": Value("GBNF, or a file of it"),
    "json_schema": Value("a JSON schema, or a file of it"),
    "think": Value("where the template knows it", words=(AUTO, "on", "off")),
    "when_full": Value("of the context", words=("stop", "drop", "larger")),
}
"""By name, in the order in which they are shown."""

INSTEAD = {"grammar": "json_schema", "json_schema": "grammar"}
"""Only one of two counts: choosing one takes the other away."""


def with_value(manner: Manner, name: str, text: str) -> Manner:
    """``manner`` with one value as it was typed; ``auto`` or nothing takes it away, a new grammar the schema as well.

    Raises:
        UsageError: there is no such value, or it cannot be that.
    """
    value = VALUES.get(name)
    text = text.strip()
    if value is None:
        raise UsageError(f"There is no value {clean_line(name, 40)}; there are {', '.join(VALUES)}.")
    if name == "when_full":
        return msgspec.structs.replace(manner, when_full=_word(name, value, text or "stop"))
    found = None if text in ("", AUTO) else _parsed(name, value, text)
    if found is None and name in ("stop", "grammar", "json_schema"):
        found = () if name == "stop" else ""
    values = {name: found}
    if found and name in INSTEAD and found != getattr(manner.sampling, name):
        values[INSTEAD[name]] = ""
    return msgspec.structs.replace(manner, sampling=msgspec.structs.replace(manner.sampling, **values))


def value_text(manner: Manner, name: str) -> str:
    """As it would be typed; empty where nothing is said about it."""
    if name == "when_full":
        return manner.when_full or ""
    found = getattr(manner.sampling, name)
    if found is None or found == ():
        return ""
    if isinstance(found, bool):
        return "on" if found else "off"
    if isinstance(found, tuple):
        return " ".join(json.dumps(text, ensure_ascii=False) for text in found)  # pyright: ignore[reportUnknownVariableType] -- texts
    return f"{found:g}" if isinstance(found, float) else str(found)


def summary(manner: Manner) -> str:
    """What it says, in one line: ``temperature 0.2 · top_k 20 · a system prompt``."""
    parts = [
        f"{name} {clean_line(text, 24)}" if name not in ("grammar", "json_schema") else f"a {name.replace('_', ' ')}"
        for name in VALUES
        if (text := value_text(manner, name))
    ]
    if manner.system_prompt:
        parts.append("a system prompt")
    return " · ".join(parts) or "all as the model's file and llama.cpp have it"


def sampling_of(manner: Manner) -> Sampling:
    """What the worker is told."""
    return msgspec.structs.replace(manner.sampling, drop_oldest=manner.when_full == "drop")


def _parsed(name: str, value: Value, text: str) -> object:
    if name == "stop":
        return _texts(text)
    if name in ("grammar", "json_schema"):
        return _grammar(name, text)
    if name == "think":
        return _word(name, value, text) == "on"
    return _number(name, value, text)


def _word(name: str, value: Value, text: str) -> str:
    if text not in value.words:
        raise UsageError(f"{name} is one of {', '.join(value.words)}, not {clean_line(text, 40)!r}.")
    return text


def _number(name: str, value: Value, text: str) -> float:
    low, high = value.low or 0, value.high or 0
    try:
        number = int(text) if value.is_whole else float(text)
    except ValueError:
        number = None
    if number is None or not low <= number <= high or len(text) > 20:
        kind = "a whole number" if value.is_whole else "a number"
        raise UsageError(f"{name} takes auto or {kind} {low:.12g}…{high:.12g}, not {clean_line(text, 40)!r}.")
    return number


def _texts(text: str) -> tuple[str, ...]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"stop takes texts in quotes, not {clean_line(text, 40)!r}: {error}.") from error
    for typed, meant in _ESCAPES.items():
        words = [word.replace(typed, meant) for word in words]
    return tuple(word for word in words if word)


def _grammar(name: str, text: str) -> str:
    """The text itself, or that of the file it names."""
    bare = text.strip("'\"")
    source = text
    if "\n" not in text and len(text) < 4096 and "::=" not in text and not text.lstrip().startswith(("{", "[")):
        try:
            path = Path(bare).expanduser()
            if not path.is_file():
                raise UsageError(f"{name} takes auto, a file, or its text; there is no file {clean_line(bare, 80)!r}.")
            if os.path.getsize(path) > MAX_GRAMMAR:
                raise UsageError(f"{clean_line(bare, 80)} is too long for a grammar.")
            source = path.read_text(encoding="utf-8")
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise UsageError(f"{clean_line(bare, 80)} cannot be read: {clean_line(why, 80)}.") from error
    source = clean(source)
    if name == "json_schema":
        try:
            json.loads(source)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"That is no JSON schema: {clean_line(str(error), 80)}.") from error
    return source
