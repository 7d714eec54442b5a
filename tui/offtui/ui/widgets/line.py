"""Fixed places on the screen that are painted again only when what they show has changed."""

from textual.content import Content
from textual.widgets import Static


class Line(Static):
    """Text of a fixed height. Never parsed as markup, never laid out again by an update."""

    DEFAULT_CSS = """
    Line {
        width: 1fr;
        height: 1;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__("", markup=False, id=id, classes=classes)
        self._shown = Content("")

    def show(self, content: Content | str) -> None:
        """Paint this, where it differs from what is painted."""
        new = Content(content) if isinstance(content, str) else content
        if new.plain == self._shown.plain and new.spans == self._shown.spans:
            return
        self._shown = new
        self.update(new, layout=False)

    @property
    def text(self) -> str:
        """What is painted, without its colours."""
        return self._shown.plain
