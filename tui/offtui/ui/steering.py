"""From intents to wishes: what the session is asked for, and what it was asked for last."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from offtui import paths
from offtui.engine.moves import MoveBegan, MoveFailed
from offtui.engine.state import Occurrence, Phase, SessionState, WorkerEnded, holds
from offtui.errors import UsageError
from offtui.protocol.events import Loaded, LoadFailed
from offtui.protocol.facts import Failure
from offtui.protocol.spec import LoadSpec, Message, Placement, Sampling, Strategy
from offtui.store.remembered import LoadTime, applied
from offtui.ui import wording
from offtui.ui.ports import Engine, Memory
from offtui.ui.price import price_text
from offtui.ui.settings import Settings, model_path, parse_layers
from offtui.ui.ways import OF_DEVICES, OF_FILES, Stamp, is_cancelled, is_of_file, is_same, stamp

if TYPE_CHECKING:
    from offtui.planner.view import PlanView


class Steering:
    """Holds the settings of the next load and turn, and the session they go to."""

    def __init__(self, settings: Settings, memory: Memory | None = None) -> None:
        self._memory = memory
        self.as_before = ""
        """Which settings are those of the last time; empty: none."""
        self.settings = self._recalled(settings, settings.opened_with.told)
        self._state = SessionState()
        self._timed: dict[str, tuple[LoadTime, ...]] = {}
        self._engine: Engine | None = None
        self._last_good: LoadSpec | None = None
        self._came_up = False
        """What was wanted last has been loaded since, whatever became of it."""
        self._failed: list[tuple[LoadSpec, Stamp]] = []
        """Loads that failed since the last that did not, and what their files were then."""
        self._target: LoadSpec | None = None
        """Of the last move."""
        self._is_fallback = False
        """What is coming up is what was up before, as the wish failed."""
        self._layers: int | None = None
        """That the last wish was loaded with."""
        self._short: LoadSpec | None = None
        """What a device or the RAM had too little memory for, since something came up."""
        self._is_coming = False
        """What was wanted last has neither come up nor failed."""
        self._failure: Failure | None = None
        """Of the last wish, or of what was up."""

    def attach(self, engine: Engine, *, load: bool = True) -> None:
        """Take the session over, and have the first model loaded."""
        self._engine = engine
        if load:
            engine.want(self.settings.spec)

    def note(self, state: SessionState, occurrences: Sequence[Occurrence] = ()) -> None:
        """Remember what worked; where a move did not, the settings are those of what is up before and after it."""
        self._state = state
        for occurrence in occurrences:
            match occurrence:
                case MoveBegan(target=target):
                    self._target = target
                case Loaded() if not self._is_fallback:
                    self._layers = occurrence.layers.asked
                    self._short = self._failure = None
                    self._is_coming = False
                    self._remember(occurrence)
                case LoadFailed(failure=failure) | WorkerEnded(failure=failure) if failure is not None:
                    self._note_failure(failure, self.settings.spec)
                case MoveFailed(failure=failure):
                    self._note_failure(failure, self.settings.spec)
                    self._is_fallback = True
                    if self.settings.spec == self._target and state.wanted is not None:
                        self.settings = msgspec.structs.replace(self.settings, spec=state.wanted)
                case _:
                    pass
        self._last_good = state.last_good
        if state.wanted != self.settings.spec:
            return
        if state.phase in (Phase.READY, Phase.GENERATING) and state.move is None:
            self._came_up = True
            self._failed.clear()
        elif state.phase is Phase.CRASHED and not self._came_up and not is_cancelled(state):
            self._failed.append((self.settings.spec, stamp(self.settings.spec.model)))

    @property
    def can_fit(self) -> bool:
        """Whether a load failed for want of memory, and nothing has come up since or is coming."""
        return self._short is not None and not self._is_coming

    def fit(self, plan: "PlanView | None") -> str:
        """Load the next smaller thing than the one that did not fit; what it is, and why.

        Raises:
            UsageError: nothing smaller fits, or nothing failed for want of memory.
        """
        from offtui.memory import ram_available
        from offtui.planner.fitting import fit_below

        short = self._short
        if short is None:
            raise UsageError("Nothing has failed for want of memory.")
        of_it = plan if plan is not None and plan.spec.model == short.model else None
        fitting = fit_below(of_it, short, ram_available())
        if fitting is None:
            raise UsageError("By the plan nothing smaller of this model fits; take a smaller quantisation.")
        self._want(msgspec.structs.replace(self.settings, spec=fitting.spec))
        return fitting.why

    def _note_failure(self, failure: Failure, wanted: LoadSpec) -> None:
        self._is_coming = False
        if failure.kind != "cancelled":
            self._failure = failure
        if failure.kind == "out_of_memory":
            layers = self._layers if wanted.n_gpu_layers is None else wanted.n_gpu_layers
            self._short = msgspec.structs.replace(wanted, n_gpu_layers=layers)

    def layers(self, layers: int | None, placement: Strategy | None = None) -> None:
        """The same model under another split, and another placement where one is given."""
        self._want(self.settings.with_layers(layers, placement))

    def load(self, path: Path, layers: int | None, placement: Strategy) -> None:
        """Another model under a split, with the other settings it had the last time."""
        settings = self._about(path, frozenset(("n_gpu_layers", "placement")))
        if settings is self.settings:
            self.as_before = ""  # the layers, which it may name, are others now
        self._want(settings.with_layers(layers, placement))

    def about(self, path: Path) -> Settings:
        """The settings that a model would be loaded with."""
        as_before = self.as_before
        settings = self._about(path)
        self.as_before = as_before
        return settings

    def _about(self, path: Path, told: frozenset[str] = frozenset()) -> Settings:
        """Likewise, as they are taken over; ``told`` are fields that are given otherwise."""
        settings = self.settings.with_model(path)
        if settings is not self.settings:
            settings = self._recalled(settings, (settings.opened_with.told - {"n_gpu_layers"}) | told)
        return settings

    def layers_text(self, text: str, state: SessionState) -> str:
        """The split as it was typed; a word where it is what is up.

        Raises:
            UsageError: it cannot be meant.
        """
        loaded = state.loaded
        layers = parse_layers(text, loaded.layers if loaded else None)
        # a number is one of the placement that is up, whichever it turned out to be
        settings = self.settings.with_layers(
            layers, loaded.spec.placement if loaded is not None and layers is not None else None
        )
        word = self._already(settings.spec)
        self._want(settings)
        return word

    def model(self, path: Path) -> None:
        """Another model, with the settings it had the last time."""
        self._want(self._about(path))

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
        word, change = _OF_THE_LOAD[command]
        settings = change(self.settings, text)
        price = self._already(settings.spec) or self._price(settings.spec)
        self._want(settings)
        return " · ".join(part for part in (f"{word}: {text}", price) if part)

    def _already(self, spec: LoadSpec) -> str:
        """That nothing is to be loaded; empty: something is."""
        state = self._state
        if state.loaded is None or state.replacing or state.move is not None or not holds(state, spec):
            return ""
        layers = state.loaded.layers
        return f"already so: {layers.got} of {layers.max} layers, context of {state.loaded.n_ctx} tokens"

    def go_back(self) -> None:
        """The load that ``way_back_name`` names."""
        self._want(msgspec.structs.replace(self.settings, spec=self._way_back()))

    def way_back_name(self) -> str:
        """What ``go_back`` would load: ``tiny with 4 layers``."""
        spec = self._way_back()
        name = "the guide" if spec.model == str(paths.guide_model()) else wording.file_name(spec.model)
        if self.settings.spec.rpc and not spec.rpc:
            return f"{name} without RPC devices"
        if spec.rpc_as_found:
            return f"{name} on the RPC devices that answer"
        return name if spec.n_gpu_layers is None else f"{name} with {spec.n_gpu_layers} layers"

    def _way_back(self) -> LoadSpec:
        """What worked last, what is wanted without other machines, the guide: the first that may succeed.

        Where a device was lost, without it first; what is no file any more, or has failed, is left out. Where a file
        was at fault that is another one now, it is tried once more.
        """
        last, found, alone = self._last_good, self._found(), self._alone()
        guide = msgspec.structs.replace(self.settings.with_guide().spec, n_gpu_layers=None)
        ways = (found, alone, last)
        if not self._lost_device:
            mended = self.settings.spec if self._is_mended else None
            ways = (mended, last, found, alone, guide if self.is_file_at_fault else None)
        for spec in ways:
            if spec is not None and not self._is_hopeless(spec):
                return spec
        return msgspec.structs.replace(guide, rpc=())

    def _alone(self) -> LoadSpec | None:
        """What is wanted, without the devices of other machines; the context stays as long as it was."""
        wanted, last = self.settings.spec, self._last_good
        if not wanted.rpc or is_of_file(self._failure):
            return None
        n_ctx = last.n_ctx if last is not None and last.model == wanted.model else wanted.n_ctx
        changes = {"rpc": (), "rpc_as_found": False, "n_gpu_layers": None, "tensor_split": (), "n_ctx": n_ctx}
        return msgspec.structs.replace(wanted, **changes)

    def _found(self) -> LoadSpec | None:
        """Likewise with those that answer, where there are several."""
        alone, rpc = self._alone(), self.settings.spec.rpc
        return None if alone is None or len(rpc) < 2 else msgspec.structs.replace(alone, rpc=rpc, rpc_as_found=True)

    @property
    def _is_mended(self) -> bool:
        """Whether the wanted file, which was at fault, is there and is not what it was."""
        now = stamp(self.settings.spec.model)
        then = [before for spec, before in self._failed if spec.model == self.settings.spec.model]
        return self.is_file_at_fault and bool(then) and now is not None and now != then[-1]

    def _is_hopeless(self, spec: LoadSpec) -> bool:
        now = stamp(spec.model)
        if any(is_same(failed, spec) and then == now for failed, then in self._failed):
            return True
        failure = self._failure
        return failure is not None and failure.kind in OF_DEVICES + OF_FILES and not os.path.exists(spec.model)

    @property
    def _lost_device(self) -> bool:
        """Whether a device of another machine is what failed."""
        failure = self._failure
        return failure is not None and failure.kind in OF_DEVICES and bool(self.settings.spec.rpc)

    @property
    def other_ways(self) -> str:
        """What else can be done than going back; empty: nothing worth a word."""
        if self._lost_device and (alone := self._alone()) is not None and not self._is_hopeless(alone):
            which = "the device" if len(self.settings.spec.rpc) == 1 else "all of them"
            return f"/rpc {' '.join(self.settings.spec.rpc)} tries with {which} again."
        return ""

    @property
    def is_file_at_fault(self) -> bool:
        """Whether it was the file that could not be loaded."""
        return is_of_file(self._failure)

    def way_on(self) -> str:
        """With what else than before a broken answer would go on; empty: as before."""
        spec = self._way_on()
        if spec is None:
            return ""
        return " on the RPC devices that answer" if spec.rpc else " without the RPC device"

    def _way_on(self) -> LoadSpec | None:
        if not self._lost_device or self._state.loaded is not None:
            return None
        ways = (self._found(), self._alone())
        return next((spec for spec in ways if spec is not None and not self._is_hopeless(spec)), None)

    def submit(self, turn: int, messages: Sequence[Message]) -> None:
        """A question."""
        if self._engine is not None:
            self._engine.submit(turn, messages, self.settings.sampling)

    def sample(self, sampling: Sampling) -> None:
        """How the next answers are written."""
        self.settings = msgspec.structs.replace(self.settings, sampling=sampling)

    def count(self, number: int, text: str) -> None:
        """Have the tokens of a text counted."""
        if self._engine is not None:
            self._engine.count(number, text)

    def resume(self, turn: int, messages: Sequence[Message]) -> None:
        """An answer that broke off: the last message, which goes on."""
        if self._engine is not None:
            self._engine.resume(turn, messages, self.settings.sampling)

    def go_on(self, broken: int, turn: int) -> None:
        """The turn that broke off goes on under another number; without a device that is lost."""
        spec = self._way_on()
        if spec is not None and self._state.phase in (Phase.CRASHED, Phase.EMPTY):
            self._want(msgspec.structs.replace(self.settings, spec=spec))
        if self._engine is not None:
            self._engine.go_on(broken, turn)

    def stop(self) -> None:
        """Stop the load or the turn."""
        if self._engine is not None:
            self._engine.stop()

    def price(self, layers: int, placement: Placement) -> str:
        """What it would cost to have so many layers offloaded; empty where that is unknown."""
        return self._price(self.settings.with_layers(layers, placement).spec)

    def _price(self, spec: LoadSpec) -> str:
        if self._memory is None:
            return ""
        if spec.model not in self._timed:
            self._timed[spec.model] = self._memory.loads(spec.model)
        timed = self._timed[spec.model]
        return price_text(self._state, spec, timed, None if timed else self._memory.read_rate())

    def _recalled(self, settings: Settings, told: frozenset[str]) -> Settings:
        """The settings with what is remembered of their model, but for the fields that were told otherwise."""
        found = self._memory.settings(settings.spec) if self._memory is not None else {}
        changes = {name: value for name, value in found.items() if name not in told}
        spec = applied(settings.spec, changes) if changes else settings.spec
        self.as_before = "" if spec == settings.spec else wording.settings_text(spec, changes)
        return msgspec.structs.replace(settings, spec=spec)

    def _remember(self, loaded: Loaded) -> None:
        spec = self.settings.spec
        if self._memory is None or loaded.spec.model != spec.model:
            return
        vram = sum(entry.total for entry in loaded.devices if entry.kind != "cpu")
        load = LoadTime(loaded.layers.got, vram, loaded.load_seconds)
        self._memory.keep(spec, self.settings.opened_with.configured(spec.model), load)
        self._timed.pop(spec.model, None)

    def _want(self, settings: Settings) -> None:
        self.settings = settings
        if self._short is not None and self._short.model != settings.spec.model:
            self._short = None
        if not holds(self._state, settings.spec):
            self._layers, self._is_coming = None, True
        self._came_up = self._is_fallback = False
        if self._engine is not None:
            self._engine.want(settings.spec)


_OF_THE_LOAD: Mapping[str, tuple[str, Callable[[Settings, str], Settings]]] = {
    "set.ctx": ("context", Settings.with_context),
    "set.placement": ("placement", Settings.with_placement),
    "set.kv": ("KV cache", Settings.with_cache),
    "set.fa": ("flash attention", Settings.with_flash_attention),
    "set.ubatch": ("ubatch", Settings.with_ubatch),
    "set.threads": ("threads", Settings.with_threads),
    "set.budget": ("VRAM budget", Settings.with_budget),
    "set.rpc": ("RPC devices", Settings.with_rpc),
}
"""Settings that a load is asked with, by command."""
