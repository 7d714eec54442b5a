"""From intents to wishes: what the session is asked for, and what it was asked for last."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from offtui import paths
from offtui.engine.state import SessionState
from offtui.protocol.spec import LoadSpec, Message
from offtui.ui import wording
from offtui.ui.ports import Engine
from offtui.ui.settings import Settings, model_path, parse_layers


class Steering:
    """Holds the settings of the next load and turn, and the session they go to."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._engine: Engine | None = None
        self._last_good: LoadSpec | None = None

    def attach(self, engine: Engine) -> None:
        """Take the session over and have the first model loaded."""
        self._engine = engine
        engine.want(self.settings.spec)

    def note(self, state: SessionState) -> None:
        """Remember what worked."""
        self._last_good = state.last_good

    def layers(self, layers: int | None) -> None:
        """The same model under another split."""
        self._want(self.settings.with_layers(layers))

    def layers_text(self, text: str, state: SessionState) -> None:
        """The split as it was typed.

        Raises:
            UsageError: it cannot be meant.
        """
        self.layers(parse_layers(text, state.loaded.layers if state.loaded else None))

    def model(self, path: Path) -> None:
        """Another model."""
        self._want(self.settings.with_model(path))

    def model_text(self, text: str) -> None:
        """A model by the path typed.

        Raises:
            UsageError: it cannot be meant.
        """
        self.model(model_path(text))

    def set(self, command: str, text: str) -> str:
        """Change one setting; a word about it.

        Raises:
            UsageError: the value cannot be meant.
        """
        match command:
            case "set.ctx":
                self._want(self.settings.with_context(text))
                return f"context: {text}"
            case "set.temp":
                self.settings = self.settings.with_temperature(text)
            case "set.seed":
                self.settings = self.settings.with_seed(text)
            case "set.max_tokens":
                self.settings = self.settings.with_max_tokens(text)
            case _:
                raise ValueError(command)
        return f"{command.removeprefix('set.')}: {text}, from the next answer on"

    def go_back(self) -> None:
        """The last spec that loaded; where none did, the built-in guide."""
        spec = self._last_good
        if spec is not None:
            self._want(msgspec.structs.replace(self.settings, spec=spec))
        else:
            self._want(self.settings.with_guide())

    def way_back_name(self) -> str:
        """What ``go_back`` would load; ``""`` where that is what just failed."""
        spec = self._last_good or self.settings.with_guide().spec
        if spec == self.settings.spec and self._last_good is None:
            return ""
        layers = "" if spec.n_gpu_layers is None else f" with {spec.n_gpu_layers} layers"
        name = "the guide" if spec.model == str(paths.guide_model()) else wording.file_name(spec.model)
        return f"{name}{layers}"

    def submit(self, turn: int, messages: Sequence[Message]) -> None:
        """A question."""
        if self._engine is not None:
            self._engine.submit(turn, messages, self.settings.sampling)

    def stop(self) -> None:
        """Stop the load or the turn."""
        if self._engine is not None:
            self._engine.stop()

    def _want(self, settings: Settings) -> None:
        self.settings = settings
        if self._engine is not None:
            self._engine.want(settings.spec)
