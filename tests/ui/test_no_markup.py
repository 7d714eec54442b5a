"""No text is ever parsed as markup: in Textual it could crash the screen, or run an action when it is clicked."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.app import App
from textual.content import Content

from offtui.ui.screens.page import PageScreen

UI = Path(__file__).parents[2] / "tui" / "offtui" / "ui"

MARKUP_OFF = {"Static", "Label", "OptionList", "SelectionList", "Pretty", "Header", "Collapsible", "Tooltip", "notify"}
"""What parses markup unless it is told not to."""
ALWAYS = {
    "Button", "Checkbox", "RadioButton", "RadioSet", "Select", "Switch", "Tree", "DirectoryTree", "DataTable", "Tab",
    "Tabs", "TabPane", "TabbedContent", "Markdown", "RichLog", "Link", "from_markup", "render_str", "escape",
    "MarkdownViewer", "ListItem",
}  # fmt: skip
"""What always does, or has no place here."""
CONTENTS = {"Content", "styled", "assemble", "border_keys"}
TITLES = {"border_title", "border_subtitle", "tooltip", "title", "sub_title", "help"}
"""Attributes that are parsed when they are assigned."""


def offences(source: str) -> Iterator[str]:
    """What of a module could parse markup, by line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = _name(node.func)
            if name in ALWAYS:
                yield f"{node.lineno}: {name}"
            elif name in MARKUP_OFF and not _says_no(node):
                yield f"{node.lineno}: {name} without markup=False"
            elif name == "visualize":
                yield f"{node.lineno}: {name}"
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr in TITLES and not _is_safe(node.value):
                    yield f"{node.lineno}: {target.attr} of something that is no constant"
        elif isinstance(node, ast.FunctionDef) and node.name == "render" and not _gives_no_text(node):
            yield f"{node.lineno}: render gives text"
        elif isinstance(node, ast.ImportFrom) and node.module == "rich.markup":
            yield f"{node.lineno}: rich.markup"


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _says_no(call: ast.Call) -> bool:
    return any(
        keyword.arg == "markup" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        for keyword in call.keywords
    )


def _is_safe(value: ast.expr) -> bool:
    """A constant, a choice of such, or a content: its ``markup`` does not escape everything."""
    if isinstance(value, ast.IfExp):
        return _is_safe(value.body) and _is_safe(value.orelse)
    return isinstance(value, ast.Constant) or (isinstance(value, ast.Call) and _name(value.func) in CONTENTS)


def _gives_no_text(function: ast.FunctionDef) -> bool:
    returns = function.returns
    return returns is not None and ast.unparse(returns) not in ("str", "RenderResult", "Visual | str", "object")


def test_no_module_of_the_screen_parses_markup() -> None:
    found = {
        str(file.relative_to(UI)): problems
        for file in sorted(UI.rglob("*.py"))
        if (problems := list(offences(file.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "Static(name)",
        "yield Label(name, markup=True)",
        "textual.widgets.OptionList(*rows)",
        "self.notify(str(error))",
        "Text.from_markup(x)",
        "Content.from_markup(x)",
        "box.border_title = name",
        "box.border_title = Content(name).markup",
        "box.border_subtitle = f'{name} here'",
        "self.tooltip = name if name else 'no name'",
        "class W:\n    def render(self) -> str:\n        return self.name",
        "class W:\n    def render(self):\n        return self.name",
        "Button(name)",
        "from rich.markup import escape",
    ],
)
def test_the_check_finds_what_it_looks_for(source: str) -> None:
    assert list(offences(source))


class Bordered(App[None]):
    CSS = "#page-box { border: round white; height: auto; }"


@pytest.mark.parametrize("text", ["[/]", "[/", "[@click=app.quit()]x[/]", "model[/x].gguf", "\\[red]", "[[", "[red"])
async def test_hostile_names_are_titles_as_they_are(text: str) -> None:
    app = Bordered()
    async with app.run_test(size=(90, 20)) as pilot:
        await app.push_screen(PageScreen(text, [Content(text)]))
        await pilot.pause()
        rows = "\n".join("".join(segment.text for segment in row) for row in app.screen._compositor.render_strips())
        assert rows.count(text) == 2
