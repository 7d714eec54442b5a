"""The commands of the full monitor."""

from offtui.ui.command import Command, Where

FULL = (
    Command(
        id="full.closer",
        title="A shorter time",
        keys=("plus", "equals_sign"),
        action="zoom(-1)",
        where=Where.FULL,
        footer="zoom",
    ),
    Command(
        id="full.further", title="A longer time", keys=("minus",), action="zoom(1)", where=Where.FULL, footer="zoom out"
    ),
    Command(
        id="full.earlier",
        title="Read values earlier",
        keys=("left",),
        action="read(1)",
        where=Where.FULL,
        footer="read values",
    ),
    Command(id="full.later", title="Read values later", keys=("right",), action="read(-1)", where=Where.FULL),
    Command(
        id="full.much_earlier",
        title="Ten columns earlier",
        keys=("shift+left",),
        action="read(10)",
        where=Where.FULL,
    ),
    Command(
        id="full.much_later",
        title="Ten columns later",
        keys=("shift+right",),
        action="read(-10)",
        where=Where.FULL,
    ),
    Command(
        id="full.answer_before",
        title="The answer before",
        keys=("left_square_bracket",),
        action="answer(-1)",
        where=Where.FULL,
        footer="answers",
    ),
    Command(
        id="full.answer_after",
        title="The answer after",
        keys=("right_square_bracket",),
        action="answer(1)",
        where=Where.FULL,
    ),
    Command(id="full.now", title="Back to now", keys=("end", "0"), action="now", where=Where.FULL, footer="now"),
    Command(
        id="full.pause", title="Hold it still", keys=("p", "space"), action="pause", where=Where.FULL, footer="hold"
    ),
    Command(
        id="full.export",
        title="Write the history to a CSV file",
        keys=("e",),
        action="export('csv')",
        where=Where.FULL,
        footer="export",
    ),
    Command(
        id="full.export_json",
        title="Write the history to a JSON file",
        keys=("E",),
        action="export('json')",
        where=Where.FULL,
    ),
)
