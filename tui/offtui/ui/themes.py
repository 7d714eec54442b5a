"""Colour schemes from TOML files: forgiving to write, loud when wrong.

A file needs nothing but ``primary``; what it leaves out follows from what it says. A mistake names the file and the
key. The user's own themes lie in the folder ``themes`` of the config folder and go before those that ship.
"""

import difflib
from pathlib import Path
from typing import Any

import msgspec
from textual.color import Color, ColorParseError
from textual.theme import Theme

from offtui import paths
from offtui.errors import UsageError
from offtui.text import clean_line


class _Colours(msgspec.Struct, frozen=True, kw_only=True):
    primary: str
    secondary: str | None = None
    accent: str | None = None
    foreground: str | None = None
    background: str | None = None
    surface: str | None = None
    panel: str | None = None
    success: str | None = None
    warning: str | None = None
    error: str | None = None
    quiet: str | None = None
    line: str | None = None
    ours: str | None = None
    others: str | None = None


class _ThemeFile(msgspec.Struct, frozen=True, kw_only=True):
    colors: _Colours
    dark: bool = True
    ansi: bool = False
    variables: dict[str, str] = {}


_OURS = ("quiet", "line", "ours", "others")
"""Colours that are offtui's and not Textual's: faint text, lines, our share of a memory bar and that of others."""


def variable_defaults() -> dict[str, str]:
    """offtui's own colours for a theme that does not say them, for the style sheet."""
    return {"quiet": "#808080", "line": "#505050", "ours": "#5fafd7", "others": "#808080"}


def theme_files() -> dict[str, Path]:
    """The theme files by name, the user's own before those that ship."""
    found: dict[str, Path] = {}
    for folder in (paths.themes_dir(), paths.config_dir() / "themes"):
        try:
            found.update({file.stem: file for file in sorted(folder.glob("*.toml"))})
        except OSError:
            continue
    return found


def load(name: str) -> Theme:
    """The theme of that name.

    Raises:
        UsageError: no such theme, or its file has a mistake; the sentence names the file and the key.
    """
    files = theme_files()
    file = files.get(name)
    if file is None:
        near = difflib.get_close_matches(name, files, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(files))}."
        raise UsageError(f"There is no theme {clean_line(name, 60)!r}; {hint}")
    return read(file)


def read(file: Path) -> Theme:
    """The theme in ``file``.

    Raises:
        UsageError: the file cannot be read or has a mistake; the sentence names the file and the key.
    """
    try:
        raw: Any = msgspec.toml.decode(file.read_bytes())
    except OSError as error:
        raise UsageError(f"The theme {file} cannot be read: {error.strerror}.") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(f"The theme {file} is not TOML: {clean_line(str(error), 200)}.") from error
    _refuse_unknown(file, raw, _ThemeFile.__struct_fields__, "")
    colours = raw.get("colors", {})
    if isinstance(colours, dict):
        _refuse_unknown(file, colours, _Colours.__struct_fields__, "colors.")  # pyright: ignore[reportUnknownArgumentType] -- TOML
    try:
        parsed = msgspec.convert(raw, _ThemeFile)
    except msgspec.ValidationError as error:
        raise UsageError(f"The theme {file} has a mistake: {error}.") from error
    given = {key: value for key, value in msgspec.structs.asdict(parsed.colors).items() if value is not None}
    for key, value in given.items():
        _check_colour(file, f"colors.{key}", value, ansi=parsed.ansi)
    own = {**_derived(parsed, given), **{key: given.pop(key) for key in _OURS if key in given}}
    return Theme(
        name=file.stem,
        dark=parsed.dark,
        ansi=parsed.ansi,
        variables={**own, **parsed.variables},
        text_alpha=1.0,
        **given,
    )


def _refuse_unknown(file: Path, table: dict[str, Any], known: tuple[str, ...], prefix: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known are {', '.join(known)}."
            raise UsageError(f"The theme {file} has an unknown key {prefix}{clean_line(key, 60)}; {hint}")


def _check_colour(file: Path, key: str, value: str, *, ansi: bool) -> None:
    try:
        colour = Color.parse(value)
    except ColorParseError as error:
        raise UsageError(f"The theme {file} has no colour at {key}: {clean_line(value, 60)!r}.") from error
    if ansi and colour.ansi is None:
        raise UsageError(f"The theme {file} says ansi = true, so {key} must be an ansi_… colour, not {value!r}.")


def _derived(parsed: _ThemeFile, given: dict[str, str]) -> dict[str, str]:
    if parsed.ansi:
        return {
            "quiet": "ansi_bright_black",
            "line": "ansi_bright_black",
            "ours": given["primary"],
            "others": "ansi_white",
        }
    paper = Color.parse(given.get("background", "#121212" if parsed.dark else "#f4f4f4"))
    ink = Color.parse(given.get("foreground", "#e0e0e0" if parsed.dark else "#202020"))
    return {
        "quiet": paper.blend(ink, 0.58).hex,
        "line": paper.blend(ink, 0.22).hex,
        "ours": given["primary"],
        "others": paper.blend(ink, 0.4).hex,
    }
