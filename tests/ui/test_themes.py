from pathlib import Path

import pytest
from textual.color import Color

from offtui import paths
from offtui.errors import UsageError
from offtui.ui import themes

INKS = ("foreground", "primary", "secondary", "accent", "error", "warning", "success", "quiet")
SHIPPED = sorted(file.stem for file in paths.themes_dir().glob("*.toml"))


def written(folder: Path, text: str, name: str = "mine") -> Path:
    file = folder / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def contrast(one: Color, other: Color) -> float:
    """WCAG 2 contrast ratio."""

    def luminance(colour: Color) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_there_are_a_dark_a_light_and_an_ansi_theme() -> None:
    made = [themes.load(name) for name in SHIPPED]
    assert {"offtui"} <= {theme.name for theme in made}
    assert {True, False} == {theme.dark for theme in made if not theme.ansi}
    assert any(theme.ansi for theme in made)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "ansi"])
@pytest.mark.parametrize("ink", INKS)
def test_every_shipped_colour_can_be_read_on_every_ground(name: str, ink: str) -> None:
    theme = themes.load(name)
    colour = theme.variables[ink] if ink == "quiet" else getattr(theme, ink)
    for ground in (theme.background, theme.surface, theme.panel):
        assert ground is not None
        assert contrast(Color.parse(colour), Color.parse(ground)) >= 3.4, (ink, ground)


def test_a_theme_of_one_colour_is_enough(tmp_path: Path) -> None:
    theme = themes.read(written(tmp_path, '[colors]\nprimary = "hotpink"\n'))
    assert theme.name == "mine"
    assert set(themes.variable_defaults()) <= set(theme.variables)


def test_a_users_theme_goes_before_the_shipped_one() -> None:
    written(paths.config_dir() / "themes", '[colors]\nprimary = "#010203"\n', "offtui")
    assert themes.load("offtui").primary == "#010203"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[colors]\nprimry = "red"\n', "colors.primry.*did you mean colors.primary"),
        ('[colors]\nprimary = "redd"\n', "colors.primary.*'redd'"),
        ("[colors]\nprimary = 3\n", "primary"),
        ('dark = "yes"\n[colors]\nprimary = "red"\n', "dark"),
        ("[colors]\n", "primary"),
        ("colours = 1\n", "colours.*did you mean colors"),
        ("[[[", "not TOML"),
        ('ansi = true\n[colors]\nprimary = "#112233"\n', "ansi_"),
    ],
)
def test_a_mistake_is_named_by_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UsageError, match=f"(?s){file}.*{said}"):
        themes.read(file)


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(UsageError, match="did you mean 'offtui'"):
        themes.load("oftui")
    with pytest.raises(UsageError, match="paper"):
        themes.load("[zzz]")
