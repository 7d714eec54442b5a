"""What the main screen does with wishes for loads: each goes to the steering, which knows what is asked for."""

from collections.abc import Mapping
from pathlib import Path

from offtui.engine.state import Phase, SessionState
from offtui.errors import UsageError
from offtui.options import Options
from offtui.protocol.spec import LoadSpec
from offtui.ui import messages
from offtui.ui.commands import BY_ID
from offtui.ui.keys import keys_of
from offtui.ui.panes.chat import ChatPane
from offtui.ui.panes.dial import DialPane
from offtui.ui.ports import Desk, Engine, Memory
from offtui.ui.screens.planned import PlannedScreen
from offtui.ui.settings import Settings
from offtui.ui.sharing import Sharing
from offtui.ui.steering import Steering


class SteeredScreen(PlannedScreen):
    """A screen over a session that it asks for loads."""

    def __init__(self, options: Options, memory: Memory | None, desk: Desk) -> None:
        super().__init__()
        self._options = options
        self._sharing = Sharing()
        self._desk = desk
        self._failed: LoadSpec | None = None
        """The first load of a model, which failed: it is studied, or was."""
        self._keys: Mapping[str, str] = options.config.keys
        self.steering = Steering(Settings.of(options), memory)
        # Until the session speaks: what it is going to be asked for first.
        first = SessionState(phase=Phase.LOADING, wanted=self.steering.settings.spec)
        self.set_reactive(SteeredScreen.session, first if options.load else SessionState())

    def attach(self, engine: Engine) -> None:
        """Take the session over and have the first model loaded, or only studied."""
        self.steering.attach(engine, load=self._options.load)
        if not self._options.load:
            self.begin_study(Path(self.steering.settings.spec.model))

    def on_draft_moved(self, message: messages.DraftMoved) -> None:
        """The dial was turned."""
        self.draft, self.placement = message.layers, message.placement
        if message.layers is not None:
            self._desk.rest(message.placement, message.layers)

    def on_layers_wanted(self, message: messages.LayersWanted) -> None:
        """The dial's model under another split."""
        study = self.study
        if study is None:
            self.steering.layers(message.layers, message.placement)
            return
        self.leave_study()
        self.steering.load(Path(study.model), message.layers, message.placement)
        self.action_leave_pane()

    def on_model_studied(self, message: messages.ModelStudied) -> None:
        """The dial on a model that is not loaded."""
        self.begin_study(message.path)

    def on_study_left(self) -> None:
        """Back to the list."""
        self.leave_study()
        self.action_models()

    def begin_study(self, path: Path) -> None:
        """Have a model planned and turn it, without loading it; the one that is up is turned where it is."""
        loaded = self.session.loaded
        if loaded is not None and loaded.spec.model == str(path):
            self.leave_study()
        else:
            self.study = self.steering.about(path).spec
            self.trouble = ""
            self._desk.study(self.study)
        self.action_dial()

    def leave_study(self) -> None:
        """The dial is about the session's model again."""
        if self.study is not None:
            self.study, self.trouble = None, ""
            self._desk.study(None)

    def action_dial(self) -> None:
        """To the dial."""
        raise NotImplementedError

    def action_models(self) -> None:
        """To the models."""
        raise NotImplementedError

    def action_leave_pane(self) -> None:
        """Uncover the chat and go to the prompt."""
        raise NotImplementedError

    def follow(self, state: SessionState) -> None:
        """After a first load that failed the dial is about that: its plan is shown, it can be turned and tried."""
        failed = state.wanted if state.phase is Phase.CRASHED else None
        if failed is None or self.query_one(DialPane).knows(failed.model):
            if self.study is not None and self.study is self._failed:
                self.leave_study()
            self._failed = None
        elif self.study is None and self._failed is None and not failed.on_cpu:
            self.study = self._failed = failed
            self.trouble = ""
            self._desk.study(failed)

    def action_go_back(self) -> None:
        """Load the last model that worked; where none did, the built-in guide."""
        self.steering.go_back()

    def action_fit(self) -> None:
        """Load the next smaller thing than the one that did not fit, and say what and why."""
        try:
            self.query_one(ChatPane).notice(f"Fitting: {self.steering.fit(self.plan)}")
        except UsageError as error:
            self.flash(str(error), "$error")

    def action_turn_dial(self, by: int) -> None:
        """Turn the dial from outside."""
        if not self.query_one(DialPane).turn(by):
            self.flash("Nothing to turn: no GPU device, or no model loaded yet.")

    def way_back(self) -> str:
        """A sentence about the key that loads the last model that worked."""
        keys = keys_of(BY_ID["session.go_back"], self._keys)
        name = self.steering.way_back_name()
        parts = [f"{keys[0]} loads {name}." if keys and name else "", self.steering.other_ways]
        if self.steering.is_file_at_fault:
            models = [*keys_of(BY_ID["models.open"], self._keys), "/model"]
            parts.append(f"{models[0]} chooses another model.")
        return " ".join(part for part in parts if part)

    def way_to_fit(self) -> str:
        """A sentence about the key that loads what fits; empty where nothing failed for want of memory."""
        keys = [*keys_of(BY_ID["session.fit"], self._keys), "/fit"]
        return f"{keys[0]} loads what fits of it." if self.steering.can_fit else ""
