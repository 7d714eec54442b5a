"""The looks of the transcript, as the theme in force draws them."""

import re
from collections.abc import Iterator

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

from offtui.ui.transcript.grid import Line, line_cells

_FAINT = re.compile(r"color: \$foreground [1-6]\d%")

PREFIX = "transcript--"

LOOKS = {
    "bar-user": "color: $accent;",
    "bar-assistant": "color: $foreground 22%;",
    "bar-notice": "color: $foreground 45%;",
    "bar-error": "color: $error;",
    "bar-chosen": "color: $accent;",
    "name": "text-style: bold;",
    "name-user": "color: $accent;",
    "name-assistant": "color: $primary;",
    "name-notice": "color: $foreground 60%;",
    "name-error": "color: $error;",
    "user": "background: $foreground 6%;",
    "notice": "color: $foreground 60%;",
    "error": "color: $foreground;",
    "thought": "color: $foreground 50%; text-style: italic;",
    "thought-title": "color: $foreground 55%;",
    "stamp": "color: $foreground 45%;",
    "stopped": "color: $warning;",
    "failed": "color: $error; text-style: bold;",
    "caret": "color: $accent;",
    "mark": "background: $accent; color: auto 95%; text-style: bold;",
    "cursor": "background: $accent; color: auto 95%;",
    "heading": "text-style: bold;",
    "heading-1": "color: $primary;",
    "heading-2": "color: $primary;",
    "heading-3": "color: $foreground;",
    "heading-line": "color: $primary 50%;",
    "strong": "text-style: bold;",
    "emphasis": "text-style: italic;",
    "struck": "text-style: strike; color: $foreground 60%;",
    "link": "color: $primary; text-style: underline;",
    "link-target": "color: $foreground 45%;",
    "inline-code": "color: $secondary; background: $foreground 8%;",
    "math": "color: $secondary; text-style: italic;",
    "quote": "color: $foreground 70%;",
    "quote-bar": "color: $primary 60%;",
    "marker": "color: $primary;",
    "task": "color: $primary;",
    "task-done": "color: $success;",
    "rule": "color: $foreground 20%;",
    "table-header": "text-style: bold; color: $primary;",
    "table-line": "color: $foreground 25%;",
    "code": "background: $foreground 7%; color: $foreground;",
    "code-label": "color: $foreground 45%;",
    "code-keyword": "color: $primary; text-style: bold;",
    "code-string": "color: $success;",
    "code-comment": "color: $foreground 50%; text-style: italic;",
    "code-number": "color: $warning;",
    "code-name": "color: $accent;",
    "code-builtin": "color: $secondary;",
    "code-deleted": "color: $error;",
    "empty": "color: $foreground 75%;",
    "selection": "background: $primary 40%;",
    "bar": "",
    "edge": "",
    "table": "",
}
"""Every name that may stand in a run's look, with its style; each is a component class ``transcript--NAME``."""


def _rules() -> Iterator[str]:
    """Rules of the looks. The terminal's own colours cannot be mixed, so a faint look is dim where they are used."""
    for look, style in LOOKS.items():
        yield f"Transcript > .{PREFIX}{look} {{ {style} }}"
        if _FAINT.match(style):
            italic = "italic " if "italic" in style else ""
            yield f"Transcript:ansi > .{PREFIX}{look} {{ text-style: {italic}dim; }}"


STYLE_SHEET = """
Transcript {
    height: 1fr;
    overflow-x: hidden;
    overflow-y: scroll;
    scrollbar-size-vertical: 1;
    scrollbar-background: $background;
    scrollbar-background-hover: $background;
    scrollbar-background-active: $background;
    scrollbar-color: $foreground 18%;
    scrollbar-color-hover: $foreground 32%;
    scrollbar-color-active: $primary;
    background: $background;
    color: $foreground;
}
""" + "\n".join(_rules())
"""Of the widget and all looks."""


KEPT_STRIPS = 500
"""Rows kept as strips: some screens full."""


class Palette:
    """Rich styles by look, and strips by row; both are made once per theme."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[str, Style] = {}
        self._strips: dict[tuple[Line, int, int], Strip] = {}

    def forget(self) -> None:
        """The theme or the widget's own styles changed."""
        self._styles.clear()
        self._strips.clear()

    def style(self, look: str) -> Style:
        """The style of some components on top of one another, over the widget's own."""
        style = self._styles.get(look)
        if style is None:
            style = self._styles[look] = self._made(look)
        return style

    def strip(self, line: Line) -> Strip:
        """``line`` as a strip, not padded."""
        return Strip([Segment(text, self.style(look)) for text, look in line], line_cells(line))

    def placed(self, line: Line, width: int, number: int) -> Strip:
        """``line`` on ``width`` cells as row ``number`` of the transcript, which the mouse can tell.

        Rows keep their numbers when the view scrolls, and a strip is dear to make.
        """
        key = line, width, number
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) > KEPT_STRIPS:
                self._strips.clear()
            strip = self.strip(line).crop_extend(0, width, self.style("")).apply_offsets(0, number)
            self._strips[key] = strip
        return strip

    def _made(self, look: str) -> Style:
        background, colour = self._widget.background_colors[1], self._widget.colors[3]
        text_style = Style.null()
        for name in look.split():
            styles = self._widget.get_component_styles(PREFIX + name)
            if styles.has_rule("background"):
                background += styles.background
            if styles.has_rule("auto_color") and styles.auto_color:
                colour = background.get_contrast_text(styles.color.a)
            elif styles.has_rule("color"):
                colour = styles.color
            text_style += styles.text_style
        return Style.from_color(_blended(background, colour).rich_color, background.rich_color) + text_style


def _blended(background: Color, colour: Color) -> Color:
    return colour if colour.ansi is not None else background + colour
