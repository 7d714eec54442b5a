"""What the main screen does with wishes for loads: each goes to the steering, which knows what is asked for."""

from collections.abc import Mapping

from offtui.engine.state import Phase, SessionState
from offtui.options import Options
from offtui.ui import messages
from offtui.ui.commands import BY_ID
from offtui.ui.keys import keys_of
from offtui.ui.panes.dial import DialPane
from offtui.ui.ports import Engine, Memory
from offtui.ui.screens.planned import PlannedScreen
from offtui.ui.settings import Settings
from offtui.ui.steering import Steering


class SteeredScreen(PlannedScreen):
    """A screen over a session that it asks for loads."""

    def __init__(self, options: Options, memory: Memory | None) -> None:
        super().__init__()
        self._options = options
        self._keys: Mapping[str, str] = options.config.keys
        self.steering = Steering(Settings.of(options), memory)
        # Until the session speaks: what it is going to be asked for first.
        self.set_reactive(SteeredScreen.session, SessionState(phase=Phase.LOADING, wanted=self.steering.settings.spec))

    def attach(self, engine: Engine) -> None:
        """Take the session over and have the first model loaded."""
        self.steering.attach(engine)

    def on_layers_wanted(self, message: messages.LayersWanted) -> None:
        """The same model under another split."""
        self.steering.layers(message.layers)

    def action_go_back(self) -> None:
        """Load the last model that worked; where none did, the built-in guide."""
        self.steering.go_back()

    def action_turn_dial(self, by: int) -> None:
        """Turn the dial from outside."""
        if not self.query_one(DialPane).turn(by):
            self.flash("Nothing to turn: no GPU device, or no model loaded yet.")

    def way_back(self) -> str:
        """A sentence about the key that loads the last model that worked."""
        keys = keys_of(BY_ID["session.go_back"], self._keys)
        name = self.steering.way_back_name()
        return f"{keys[0]} loads {name}." if keys and name else ""
