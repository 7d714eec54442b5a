"""What the main screen does with writing: how answers are written, what is copied, the editor, a full context."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import msgspec
from textual.app import App, SuspendNotSupported

from offtui.engine.state import Occurrence, Phase, SessionState
from offtui.errors import UsageError
from offtui.options import Options
from offtui.protocol.events import Loaded, TurnEnded, TurnFailed, TurnStarted
from offtui.protocol.spec import Sampling
from offtui.recorder.tape import Tape
from offtui.store.manners import Manner, Manners
from offtui.text import clean_line
from offtui.ui import editor, messages, wording
from offtui.ui.chosen import Chosen
from offtui.ui.context import is_nearly_full, larger
from offtui.ui.manner import VALUES, sampling_of, summary
from offtui.ui.ports import Desk, Memory
from offtui.ui.screens.hubbed import HubbedScreen
from offtui.ui.transcript.marking import MarkableTranscript

if TYPE_CHECKING:
    from offtui.ui.transcript.blocks import CodeBlock

_VALUE_OF = {"set.temp": "temperature", "set.seed": "seed", "set.max_tokens": "max_tokens"}
"""Commands that set one value, with a name of their own."""
_LEAST = 8
"""An answer that filled the context goes on by itself if it wrote at least one part of so many of it."""


class WritingScreen(HubbedScreen):
    """A screen with a chat whose answers are written as a person chose."""

    def __init__(self, options: Options, tape: Tape, memory: Memory | None, desk: Desk, manners: Manners) -> None:
        super().__init__(options, tape, memory, desk)
        config = options.config
        base = Manner(system_prompt=config.system_prompt or None, sampling=options.sampling, when_full=config.when_full)
        self.chosen = Chosen(base, manners)
        self._dropped = 0
        """Messages that were left out at the last turn."""
        self._grown_to = 0
        """The context asked for last because one was nearly full."""
        self._ask_again = False

    def on_mount(self) -> None:
        """Say what Tab can complete."""
        self.chat.prompt.arguments = {
            "set": lambda _typed: [f"{name} " for name in VALUES],
            "preset": lambda _typed: list(self.chosen.store.presets()),
            "ngl": lambda _typed: ["auto"],
            "theme": lambda _typed: self._desk.themes(),
        }

    # Turns

    def _in_force(self) -> Manner:
        """What holds for the next answer."""
        keeping = self.chat.talk.keeping
        self.chosen.follow(self.chat.conversation, keeping.chat, keeping.system_prompt)
        keeping.instruct(self.chosen.of_chat.system_prompt)
        return self.chosen.effective(self.steering.settings.spec.model)

    def on_turn_asked(self, message: messages.TurnAsked) -> None:
        """Before a question goes to the model, by the handler of the class below: it is asked as it was chosen."""
        manner = self._in_force()
        self.steering.sample(sampling_of(manner))
        self.chat.conversation.system_prompt = manner.system_prompt or ""

    def on_count_wanted(self, message: messages.CountWanted) -> None:
        """Tokens of what is typed."""
        self.steering.count(message.number, message.text)

    def heed(self, state: SessionState, occurrences: Sequence[Occurrence]) -> None:
        """What happened: a context that fills, answers that nobody sees end."""
        for occurrence in occurrences:
            match occurrence:
                case TurnStarted(dropped=dropped):
                    self._say_dropped(dropped)
                case TurnEnded():
                    self._desk.call(f"The answer is there: {occurrence.timings.tokens} tokens")
                    self._go_on_when_full(occurrence)
                case TurnFailed(failure=failure):
                    self._desk.call(failure.message)
                    if failure.kind == "prompt_too_long" and self._in_force().when_full == "larger":
                        self._ask_again = self._grow(state)
                case Loaded():
                    self._desk.call(f"{wording.model_name(state)} is loaded")
                    if self._ask_again:
                        self._ask_again = False
                        self.call_later(self.chat.regenerate)
                case _:
                    pass
        if state.phase is Phase.GENERATING and is_nearly_full(state) and self._in_force().when_full == "larger":
            self._grow(state)

    def _say_dropped(self, dropped: int) -> None:
        if dropped > self._dropped:
            count = "message is" if dropped == 1 else f"{dropped} messages are"
            self.chat.notice(f"The context is full: the oldest {count} left out of what the model gets.")
        self._dropped = dropped

    def _go_on_when_full(self, ended: TurnEnded) -> None:
        """An answer that filled the context is written on, its oldest turns left out."""
        loaded = self.session.loaded
        if ended.stop != "context_full" or loaded is None or self._in_force().when_full != "drop":
            return
        if ended.timings.tokens * _LEAST >= loaded.n_ctx:
            self.call_later(self.chat.go_on, after_end=True)

    def _grow(self, state: SessionState) -> bool:
        """Have a larger context loaded if that fits; whether it is on its way. Asked once for each size."""
        loaded = state.loaded
        if loaded is None or state.move is not None:
            return False
        n_ctx = larger(state, self.plan)
        wanted = n_ctx or -loaded.n_ctx
        if wanted == self._grown_to:
            return False
        self._grown_to = wanted
        if n_ctx is None:
            self.chat.notice("The context is nearly full, and no larger one fits: the answer will stop when it is.")
            return False
        self.chat.notice(f"The context is nearly full: loading one of {n_ctx} tokens, the conversation goes along.")
        self.steering.set("set.ctx", str(n_ctx))
        return True

    # How answers are written

    def set_value(self, command: str, argument: str) -> bool:
        """Run a command that is about writing; whether it is one.

        Raises:
            UsageError: what follows it cannot be meant.
        """
        match command:
            case "set.temp" | "set.seed" | "set.max_tokens":
                self._set(_VALUE_OF[command], argument)
            case "set.value":
                name, _, value = argument.partition(" ")
                self._set(name, value)
            case "manner.preset" if argument:
                self._take_preset(argument)
            case "manner.system" if argument:
                self._choose(msgspec.structs.replace(self._of_chat(), system_prompt=argument))
            case "chat.copy_code" if argument:
                self._copy_block(argument)
            case _:
                return False
        return True

    def _of_chat(self) -> Manner:
        self._in_force()
        return self.chosen.of_chat

    def _set(self, name: str, value: str) -> None:
        self._in_force()
        self.chosen.set(name, value)
        self.flash(f"{name}: {clean_line(value, 40) or 'auto'}, from the next answer on", "$primary")

    def _choose(self, manner: Manner) -> None:
        self.chosen.choose(manner)
        notice = self.chosen.store.notice
        self.flash(notice or summary(self._in_force()), "$warning" if notice else "$primary")

    def _take_preset(self, name: str) -> None:
        presets = self.chosen.store.presets()
        if name not in presets:
            known = ", ".join(presets) or "none yet; F8 keeps one"
            raise UsageError(f"There is no preset {clean_line(name, 40)!r}; there are {clean_line(known, 120)}.")
        self._of_chat()
        self._choose(presets[name])

    def action_manner(self) -> None:
        """The panel."""
        from offtui.ui.screens.manner import MannerScreen, Scope

        self._in_force()
        model = self.steering.settings.spec.model
        name = wording.file_name(model)
        loaded = self.session.loaded
        scopes = [
            Scope("this chat", self.chosen.of_chat, self.chosen.below_chat(model)),
            Scope(f"all with {name}", self.chosen.store.of_model(model), self.chosen.below_model()),
        ]
        panel = MannerScreen(
            scopes,
            self.chosen.store,
            loaded.sampling if loaded is not None else Sampling(),
            can_think=loaded is not None and loaded.can_think,
        )

        def applied(manners: tuple[Manner, ...] | None) -> None:
            if manners is not None:
                of_chat, of_model = manners
                if of_model != self.chosen.store.of_model(model):
                    self.chosen.store.keep_for_model(model, of_model)
                self._choose(of_chat)

        self._textual.push_screen(panel, applied)

    # Copying

    def action_copy_code(self) -> None:
        """A block of code of the chosen message, or of the last answer; by its number where there are several."""
        from offtui.ui.screens.choice import Choice, ChoiceScreen

        blocks = self._blocks()
        if len(blocks) == 1:
            self.flash(self._desk.copy(blocks[0].source), "$primary")
            return
        if not blocks:
            self.flash("There is no block of code in this message.")
            return
        choices = [
            Choice(str(number), f"{number}  {clean_line(block.first_line, 200)}", clean_line(block.language, 20))
            for number, block in enumerate(blocks, 1)
        ]
        screen = ChoiceScreen("Copy which block?", choices, by_number=True)
        self._textual.push_screen(screen, lambda number: self._copy_block(number) if number is not None else None)

    def _blocks(self) -> "list[CodeBlock]":
        from offtui.ui.transcript.blocks import code_blocks

        return code_blocks(self.chat.chosen_text())

    def _copy_block(self, number: str) -> None:
        blocks = self._blocks()
        if not (number.isascii() and number.isdecimal() and 1 <= int(number[:9]) <= len(blocks)):
            there = f"there are {len(blocks)}" if blocks else "there is none"
            raise UsageError(f"/code takes the number of a block of the last answer; {there}.")
        self.flash(self._desk.copy(blocks[int(number) - 1].source), "$primary")

    def action_select_text(self) -> None:
        """A cursor in the transcript that selects."""
        self.set_focus(self.chat.transcript)
        self.chat.transcript.action_mark()

    def on_markable_transcript_marked(self, message: MarkableTranscript.Marked) -> None:
        """Copy what was selected by keys."""
        self.flash(self._desk.copy(message.text) if message.text else "There is nothing there.", "$primary")

    # The editor

    def action_edit_outside(self) -> None:
        """The prompt's text in the user's editor; the terminal is its own meanwhile."""
        prompt = self.chat.prompt
        try:
            command = editor.command()
            with self._textual.suspend():
                text = editor.edit(command, prompt.text)
        except UsageError as error:
            self.flash(str(error), "$error")
        except SuspendNotSupported:
            self.flash("This terminal cannot be given to an editor.", "$error")
        else:
            prompt.replace_text(text)
        self.refresh()
        self.set_focus(prompt)

    @property
    def _textual(self) -> App[None]:
        return cast("App[None]", self.app)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]
