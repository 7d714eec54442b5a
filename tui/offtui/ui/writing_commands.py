"""The commands of writing: the prompt's own, what is copied, and how answers are to be written."""

from offtui.ui.command import Command, Where, has_turns

WRITING_COMMANDS: tuple[Command, ...] = (
    Command(id="prompt.complete", title="Complete a command or an @path", keys=("tab",), where=Where.PROMPT),
    Command(
        id="prompt.editor",
        title="Write the question in your editor",
        keys=("ctrl+g",),
        action="edit_outside",
        slash="editor",
    ),
    Command(
        id="chat.copy_code",
        title="Copy a block of code",
        keys=("Y",),
        action="screen.copy_code",
        where=Where.CHAT,
        slash="code",
        argument="[N]",
        applies=has_turns,
    ),
    Command(
        id="chat.select",
        title="Select text by keys",
        keys=("v",),
        action="screen.select_text",
        where=Where.CHAT,
        slash="select",
        applies=has_turns,
    ),
    Command(
        id="manner.open",
        title="How answers are written",
        keys=("f8",),
        action="manner",
        slash="sampling",
    ),
    Command(id="set.value", title="One value of how answers are written", slash="set", argument="NAME VALUE | auto"),
    Command(id="manner.preset", title="Take a preset", action="manner", slash="preset", argument="[NAME]"),
    Command(id="manner.system", title="System prompt of this chat", action="manner", slash="system", argument="[TEXT]"),
)
