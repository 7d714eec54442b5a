"""Every action, declared once: its keys, its name in the palette and after ``/``, and when it applies.

Bindings, footer, palette, help screen and the slash commands of the prompt are all made from this table. A key can be
given to another command, or taken away with ``"none"``, under ``[keys]`` in ``config.toml``, by the command's id.
"""

from collections.abc import Mapping, Sequence

from textual.binding import Binding

from offtui.engine.state import Phase
from offtui.ui.command import Command, Situation, Where, busy, can_fit, can_go_on, fallen, has_device, has_turns
from offtui.ui.full_commands import FULL
from offtui.ui.hub_commands import HUB
from offtui.ui.message_commands import MESSAGE_COMMANDS
from offtui.ui.writing_commands import WRITING_COMMANDS

COMMANDS: tuple[Command, ...] = (
    Command(id="prompt.send", title="Send the question", keys=("enter",), where=Where.PROMPT, footer="send"),
    Command(
        id="prompt.newline",
        title="New line in the question",
        keys=("ctrl+j", "shift+enter"),
        action="newline",
        where=Where.PROMPT,
    ),
    Command(id="prompt.history", title="Earlier and later questions", keys=("up", "down"), where=Where.PROMPT),
    Command(id="session.stop", title="Stop the answer or the load", action="stop", slash="stop", applies=busy),
    Command(id="app.back", title="Stop, or back to the prompt", keys=("escape",), action="back"),
    Command(
        id="app.interrupt",
        title="Copy, else stop, else clear, else quit",
        keys=("ctrl+c",),
        action="app.interrupt",
    ),
    Command(
        id="session.go_back",
        title="Load the last model that worked",
        keys=("ctrl+l",),
        action="go_back",
        slash="back",
        applies=fallen,
    ),
    Command(
        id="session.go_on",
        title="Go on where the worker died",
        keys=("f5",),
        action="continue",
        applies=can_go_on,
    ),
    Command(
        id="session.fit",
        title="Load what fits of what did not",
        keys=("f6",),
        action="fit",
        slash="fit",
        applies=can_fit,
    ),
    Command(
        id="dial.open",
        title="Choose the offloaded layers",
        keys=("ctrl+r",),
        action="dial",
        slash="ngl",
        argument="N | auto | +N | -N",
        footer="layers",
    ),
    Command(
        id="dial.more",
        title="One layer more",
        keys=("plus",),
        action="turn_dial(1)",
        where=Where.OUTSIDE_TEXT,
        applies=has_device,
        footer="layer more",
    ),
    Command(
        id="dial.less",
        title="One layer less",
        keys=("minus",),
        action="turn_dial(-1)",
        where=Where.OUTSIDE_TEXT,
        applies=has_device,
    ),
    Command(
        id="dial.step_up",
        title="One layer more",
        keys=("right",),
        action="step(1)",
        where=Where.DIAL,
        footer="one more",
    ),
    Command(
        id="dial.step_down",
        title="One layer less",
        keys=("left",),
        action="step(-1)",
        where=Where.DIAL,
        footer="one less",
    ),
    Command(id="dial.none", title="No layer", keys=("home",), action="none", where=Where.DIAL, footer="none"),
    Command(id="dial.all", title="All layers", keys=("end",), action="all", where=Where.DIAL, footer="all"),
    Command(id="dial.auto", title="As many as fit", keys=("a",), action="auto", where=Where.DIAL, footer="auto"),
    Command(id="dial.placement", title="Placement", keys=("p",), action="placement", where=Where.DIAL, footer="place"),
    Command(id="dial.best", title="The fastest placement", keys=("b",), action="best", where=Where.DIAL),
    Command(
        id="dial.plan",
        title="The plan of every layer count",
        keys=("d",),
        action="screen.plan",
        where=Where.DIAL,
        slash="plan",
        footer="table",
    ),
    Command(id="dial.apply", title="Load with these layers now", keys=("enter",), action="apply", where=Where.DIAL),
    Command(
        id="models.open",
        title="Models",
        keys=("f2", "ctrl+o"),
        action="models",
        slash="model",
        argument="[PATH]",
        footer="models",
    ),
    Command(id="models.load", title="Load this file", keys=("enter",), where=Where.MODELS, footer="load"),
    Command(id="models.study", title="Plan", keys=("d", "right"), action="study", where=Where.MODELS, footer="plan"),
    Command(
        id="models.filter",
        title="Filter by name",
        keys=("slash",),
        action="filter",
        where=Where.MODELS,
        footer="filter",
    ),
    Command(id="models.details", title="Details", keys=("i",), action="details", where=Where.MODELS, footer="details"),
    Command(
        id="models.metadata",
        title="Everything the file says",
        keys=("m",),
        action="metadata",
        where=Where.MODELS,
        footer="metadata",
    ),
    Command(
        id="models.sort", title="Sort by the next figure", keys=("s",), action="sort", where=Where.MODELS, footer="sort"
    ),
    Command(
        id="models.favour",
        title="Favourite, or not",
        keys=("f",),
        action="favour",
        where=Where.MODELS,
        footer="favourite",
    ),
    Command(
        id="models.delete", title="Delete the file", keys=("D",), action="delete", where=Where.MODELS, footer="delete"
    ),
    Command(
        id="models.again",
        title="Search the folders again",
        keys=("R",),
        action="again",
        where=Where.MODELS,
        footer="search again",
    ),
    Command(
        id="hub.open", title="Search the hub", keys=("f7",), action="hub", slash="hub", argument="[WORDS]", footer="hub"
    ),
    *HUB,
    Command(id="monitor.open", title="Monitor", keys=("f3",), action="monitor", slash="monitor", footer="monitor"),
    Command(
        id="monitor.pause",
        title="Hold the monitor still",
        keys=("p",),
        action="pause",
        where=Where.MONITOR,
        footer="pause",
    ),
    Command(id="monitor.full", title="Monitor, full screen", keys=("f4",), action="full_monitor", slash="top"),
    Command(
        id="monitor.enlarge",
        title="Monitor, full screen",
        keys=("f",),
        action="screen.full_monitor",
        where=Where.MONITOR,
        footer="full screen",
    ),
    *FULL,
    Command(
        id="monitor.export",
        title="Write the history to a file",
        action="export_history",
        slash="history",
        argument="[FILE.csv | FILE.json]",
    ),
    Command(id="chat.new", title="New chat", keys=("ctrl+n",), action="new_chat", slash="new"),
    Command(id="chats.open", title="Chats", keys=("ctrl+s",), action="chats", slash="chats", footer="chats"),
    Command(
        id="chats.title", title="Name this chat", action="name_chat", slash="title", argument="TEXT", applies=has_turns
    ),
    Command(
        id="chats.export",
        title="Write this chat to a file",
        action="export_chat",
        slash="save",
        argument="[FILE.md | FILE.json]",
        applies=has_turns,
    ),
    *MESSAGE_COMMANDS,
    Command(
        id="chat.reasoning", title="Show or hide reasoning", keys=("ctrl+t",), action="reasoning", slash="reasoning"
    ),
    Command(
        id="chat.copy",
        title="Copy the message, or the last answer",
        keys=("y",),
        action="screen.copy_answer",
        where=Where.CHAT,
        slash="copy",
        applies=has_turns,
        footer="copy",
    ),
    Command(id="chat.page_up", title="Page up", keys=("pageup",), action="scroll_chat('page_up')"),
    Command(id="chat.page_down", title="Page down", keys=("pagedown",), action="scroll_chat('page_down')"),
    Command(id="chat.up", title="Row up", keys=("shift+up",), action="scroll_chat('up')"),
    Command(id="chat.down", title="Row down", keys=("shift+down",), action="scroll_chat('down')"),
    Command(id="chat.first", title="First row", keys=("g",), action="screen.scroll_chat('home')", where=Where.CHAT),
    Command(id="chat.last", title="Last row", keys=("G",), action="screen.scroll_chat('end')", where=Where.CHAT),
    *WRITING_COMMANDS,
    Command(id="set.ctx", title="Tokens of context", slash="ctx", argument="N | auto"),
    Command(id="set.kv", title="Type of the KV cache", slash="kv", argument="TYPE | K/V | auto"),
    Command(id="set.fa", title="Flash attention", slash="fa", argument="on | off | auto"),
    Command(id="set.ubatch", title="Tokens evaluated at once", slash="ubatch", argument="N | auto"),
    Command(id="set.threads", title="Threads", slash="threads", argument="N | auto"),
    Command(id="set.budget", title="Load as if a device had so much", slash="budget", argument="SIZE | off"),
    Command(id="set.rpc", title="Devices of other machines", slash="rpc", argument="HOST:PORT … | none"),
    Command(id="set.placement", title="Placement", slash="placement", argument="layers | ffn | experts | best"),
    Command(id="set.temp", title="Temperature; 0 is greedy", slash="temp", argument="T | auto"),
    Command(id="set.seed", title="Seed of the sampler", slash="seed", argument="N | auto"),
    Command(id="set.max_tokens", title="Longest answer in tokens", slash="max-tokens", argument="N | auto"),
    Command(id="app.theme", title="Colours", slash="theme", argument="[NAME]", action="theme"),
    Command(id="app.palette", title="All commands", keys=("ctrl+p",), action="palette", footer="commands"),
    Command(id="app.help", title="Help", keys=("f1",), action="help", slash="help", footer="help"),
    Command(id="app.help_mark", title="Help", keys=("question_mark",), action="help", where=Where.OUTSIDE_TEXT),
    Command(id="app.suspend", title="Suspend", keys=("ctrl+z",), action="app.suspend_process"),
    Command(id="app.quit", title="Quit", keys=("ctrl+q",), action="app.quit", slash="quit", footer="quit"),
)

BY_ID: Mapping[str, Command] = {command.id: command for command in COMMANDS}
BY_SLASH: Mapping[str, Command] = {command.slash: command for command in COMMANDS if command.slash}

_FOOTERS: Mapping[Where, Sequence[str]] = {
    Where.PROMPT: ("prompt.send", "dial.open", "models.open", "monitor.open", "app.help"),
    Where.CHAT: ("message.before", "message.edit", "chat.regenerate", "chat.copy", "app.help"),
    Where.DIAL: ("dial.step_up", "dial.auto", "dial.placement", "dial.plan", "app.back"),
    Where.MODELS: (
        "models.load", "models.study", "models.filter", "models.details", "models.sort", "models.favour",
        "models.metadata", "models.delete", "hub.open", "models.again", "app.back",
    ),
    Where.MONITOR: ("monitor.enlarge", "monitor.pause", "dial.open", "models.open", "app.help", "app.back"),
    Where.FULL: ("full.closer", "full.further", "full.earlier", "full.answer_before", "full.now", "full.export"),
    Where.ANYWHERE: ("dial.open", "models.open", "monitor.open", "app.palette", "app.help"),
}  # fmt: skip
"""By what has the focus, those that matter most first."""
FOOTER_KEYS = 5
"""Where the terminal is not wide."""


def footer(situation: Situation, most: int | None = FOOTER_KEYS) -> tuple[list[tuple[Command, str]], Command | None]:
    """The commands worth a place in the footer now, with the word to show, and the way back where there is one.

    They are at most ``most`` together; ``None``: all there are.
    """
    chosen: list[tuple[Command, str]] = []
    back = BY_ID["app.back"]
    if situation.phase is Phase.LOADING or situation.moving:
        chosen.append((back, "cancel") if not situation.pane_open else (BY_ID["app.interrupt"], "cancel"))
    elif situation.phase is Phase.GENERATING:
        chosen.append((back, "stop") if not situation.pane_open else (BY_ID["app.interrupt"], "stop"))
    elif situation.phase is Phase.CRASHED and situation.way_back:
        chosen.append((BY_ID["session.go_back"], f"load {situation.way_back}"))
    if can_go_on(situation):
        chosen.append((BY_ID["session.go_on"], "go on"))
    if situation.can_fit and not situation.moving and situation.phase is not Phase.LOADING:
        chosen.append((BY_ID["session.fit"], "fit it"))
    way_back: Command | None = None
    for id in _FOOTERS.get(situation.focus, _FOOTERS[Where.ANYWHERE]):
        command = BY_ID[id]
        if command is back:
            way_back = back
        elif command.applies(situation):
            chosen.append((command, command.footer))
    return chosen[: None if most is None else most - (way_back is not None)], way_back


_NOT_LISTED = frozenset(
    ("app.palette", "app.back", "app.interrupt", "chat.page_up", "chat.page_down", "chat.up", "chat.down",
     "message.up", "message.before", "message.after", "message.found_before", "message.found_after",
      "chat.first", "chat.last")
)  # fmt: skip


def palette(situation: Situation) -> list[Command]:
    """The commands that can be run from a list now."""
    return [
        command
        for command in COMMANDS
        if ((command.action and command.where in (Where.ANYWHERE, Where.CHAT)) or command.id.startswith("set."))
        and command.id not in _NOT_LISTED
        and command.applies(situation)
    ]


def bindings(where: Where) -> list[Binding]:
    """The Textual bindings of the commands whose keys act ``where``.

    Chords that act anywhere come before the focused widget, so that a text field cannot take ``ctrl+n`` or ``ctrl+z``.
    """
    return [
        Binding(
            ",".join(command.keys),
            command.action,
            command.title,
            show=False,
            id=command.id,
            priority=where is Where.ANYWHERE and _is_chord(command.keys[0]),
        )
        for command in COMMANDS
        if command.where is where and command.keys and command.action
    ]


def everywhere(id: str) -> Binding:
    """What works on every screen, before whatever has the focus, is bound to the app."""
    command = BY_ID[id]
    return Binding(",".join(command.keys), command.action, command.title, show=False, id=id, priority=True)


def _is_chord(key: str) -> bool:
    return key.startswith("ctrl+") or (key[0] == "f" and key[1:].isdecimal())
