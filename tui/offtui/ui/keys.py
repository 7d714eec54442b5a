"""The keys of commands: how people write them, and which the user gave to which command."""

from collections.abc import Mapping

from textual.keys import REPLACED_KEYS, Keys, key_to_character

from offtui.errors import UsageError
from offtui.ui.commands import BY_ID, Command

UNBOUND = "none"
_MODIFIERS = frozenset(("ctrl", "shift", "alt", "super", "hyper", "meta"))
_NAMED_KEYS = frozenset(key.value.rpartition("+")[2] for key in Keys if not key.value.startswith("<")).union(
    REPLACED_KEYS
)


def keymap(chosen: Mapping[str, str]) -> dict[str, str]:
    """The user's keys by command id, checked.

    Raises:
        UsageError: an id that is no command, or one whose keys are not ours to give away.
    """
    for id in chosen:
        command = BY_ID.get(id)
        if command is None:
            raise UsageError(f"In config.toml, [keys] names {id!r}, which is no command; F1 lists them.")
        if not command.action or not command.keys:
            raise UsageError(f"In config.toml, [keys] names {id!r}, whose keys cannot be changed.")
        for key in keys_under(id, chosen):
            if not _is_key(key):
                raise UsageError(f"In config.toml, [keys] gives {id} the key {key!r}, which there is none of.")
    return dict(chosen)


def _is_key(key: str) -> bool:
    if len(key) == 1:
        return key.isprintable()
    *modifiers, name = key.split("+")
    return all(modifier in _MODIFIERS for modifier in modifiers) and (
        name in _NAMED_KEYS
        or (len(name) == 1 and name.isprintable())
        or (name.isidentifier() and key_to_character(name) is not None)
    )


_KEY_NAMES = {
    "escape": "Esc", "enter": "Enter", "plus": "+", "minus": "-", "slash": "/", "question_mark": "?", "up": "↑",
    "down": "↓", "left": "←", "right": "→", "home": "Home", "end": "End", "pageup": "PgUp", "pagedown": "PgDn",
    "less_than_sign": "<", "greater_than_sign": ">",
    "left_square_bracket": "[", "right_square_bracket": "]", "equals_sign": "=",
    "space": "Space", "tab": "Tab", "delete": "Del", "backspace": "Backspace",
}  # fmt: skip


def key_name(key: str) -> str:
    """A key as people write it: ``^R``, ``F2``, ``Esc``, ``+``."""
    if key.startswith("ctrl+"):
        return "^" + key_name(key.removeprefix("ctrl+")).upper()
    for modifier in ("shift", "alt"):
        if key.startswith(f"{modifier}+"):
            return f"{modifier.capitalize()}+{key_name(key.removeprefix(f'{modifier}+'))}"
    if key in _KEY_NAMES:
        return _KEY_NAMES[key]
    return key.upper() if key[0] == "f" and key[1:].isdecimal() else key


def keys_of(command: Command, chosen: Mapping[str, str]) -> list[str]:
    """The names of the keys that run ``command`` under the user's choice; empty where it has none."""
    return [key_name(key) for key in keys_under(command.id, chosen)]


def keys_under(id: str, chosen: Mapping[str, str]) -> tuple[str, ...]:
    """The keys, by Textual's names, that run the command ``id`` under the user's choice."""
    own = chosen.get(id)
    if own is None:
        return BY_ID[id].keys
    return () if own == UNBOUND else tuple(key.strip() for key in own.split(","))
