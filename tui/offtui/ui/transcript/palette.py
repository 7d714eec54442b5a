"""The looks of the transcript, as the theme in force draws them."""

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

from offtui.ui.transcript.grid import Line, line_cells

PREFIX = "transcript--"

LOOKS = frozenset(
    "bar bar-user bar-assistant bar-notice bar-error name name-user name-assistant name-notice name-error user notice error "
    "thought thought-title stamp stopped failed caret mark "
    "heading heading-1 heading-2 heading-3 heading-line strong emphasis struck link link-target inline-code math "
    "quote quote-bar marker task task-done rule table table-header table-line empty "
    "code code-label code-keyword code-string code-comment code-number code-name code-builtin code-deleted".split()
)
"""Every name that may stand in a run's look; each is a component class ``transcript--NAME`` of the widget."""


class Palette:
    """Rich styles by look, and strips by row; both are made once per theme."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[str, Style] = {}
        self._strips: dict[Line, Strip] = {}

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
        strip = self._strips.get(line)
        if strip is None:
            if len(self._strips) > 1000:
                self._strips.clear()
            strip = Strip([Segment(text, self.style(look)) for text, look in line], line_cells(line))
            self._strips[line] = strip
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
