"""The app for tests: with a session over the fake worker, or with an engine that only writes down what it is asked."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec.structs import replace
from textual.pilot import Pilot

from offtui.config import Config
from offtui.engine.session import Session
from offtui.engine.state import LoadWanted, Occurrence, Phase, SessionState, TurnState, TurnWanted
from offtui.gguf.header import Header
from offtui.gguf.library import ModelFile
from offtui.models.entries import Entry
from offtui.models.shelf import ShelfView
from offtui.monitor.sample import HostSample, Sample
from offtui.options import Options
from offtui.plan.probe import ElementsReply
from offtui.planner.view import PlanView
from offtui.protocol.events import Loaded, Piece, Tokenized, TurnEnded
from offtui.protocol.facts import DeviceFacts, DeviceLedger, LayerCount, ModelFacts, Timings
from offtui.protocol.spec import LoadSpec, Message, Sampling
from offtui.store.chats.keeper import Keeper
from offtui.ui.application import OfftuiApp
from offtui.ui.ports import Engine, Listener, Memory, Planning, Ports

WORKER = Path(__file__).parents[1] / "fakes" / "worker.py"
GIB = 1024**3
MIB = 1024**2


class StillWatch:
    """A sampler that samples when told."""

    def __init__(self, listener: Callable[[Sample], None]) -> None:
        self.listener = listener

    def start(self) -> None:
        self.listener(sample(1.0))

    def poke(self) -> None: ...

    def stop(self) -> None: ...


class StillShelf:
    """A library of these files, none of them read."""

    def __init__(self, files: Sequence[ModelFile], listener: Callable[[ShelfView], None]) -> None:
        self.entries = [Entry(file=file) for file in files]
        self.listener = listener
        self.asked: list[tuple[object, ...]] = []
        self.heard: list[Occurrence] = []
        self.tell()

    def tell(self) -> None:
        self.listener(ShelfView(tuple(self.entries)))

    def refresh(self) -> None:
        self.tell()

    def look(self, seen: Sequence[Path]) -> None:
        self.asked.append(("look", *seen))

    def favour(self, path: Path, favourite: bool) -> None:
        self.asked.append(("favour", path, favourite))
        changed = [msgspec.structs.replace(e, favourite=favourite) if e.file.path == path else e for e in self.entries]
        self.entries = changed
        self.tell()

    def remove(self, file: ModelFile) -> None:
        self.asked.append(("remove", file.path))

    def describe(self, path: Path, tell: Callable[[Header | None], None]) -> None:
        self.asked.append(("describe", path))
        threading.Thread(target=tell, args=(None,)).start()

    def elements(self, path: Path, key: str, tell: Callable[[ElementsReply], None]) -> None:
        self.asked.append(("elements", path, key))

    def hear(self, state: SessionState, occurrence: Occurrence) -> None:
        self.heard.append(occurrence)

    def close(self) -> None: ...


@dataclass
class Recorder:
    """An engine that writes down what it is asked, and says what it is told to say."""

    listener: Listener
    wanted: list[LoadSpec] = field(default_factory=list)
    submitted: list[tuple[int, tuple[Message, ...], Sampling]] = field(default_factory=list)
    resumed: list[tuple[int, tuple[Message, ...]]] = field(default_factory=list)
    gone_on: list[tuple[int, int]] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    stops: int = 0
    state: SessionState = field(default_factory=SessionState)

    def want(self, spec: LoadSpec) -> None:
        self.wanted.append(spec)
        self.say(SessionState(phase=Phase.LOADING, wanted=spec, last_good=self.state.last_good), LoadWanted(spec))

    def submit(self, turn: int, messages: Sequence[Message], sampling: Sampling) -> None:
        self.submitted.append((turn, tuple(messages), sampling))
        self.say(self.with_phase(Phase.GENERATING, turn=TurnState(turn)), TurnWanted(turn))

    def resume(self, turn: int, messages: Sequence[Message], sampling: Sampling) -> None:
        self.resumed.append((turn, tuple(messages)))
        self.submit(turn, messages, sampling)

    def go_on(self, broken: int, turn: int) -> None:
        self.gone_on.append((broken, turn))

    def count(self, number: int, text: str) -> None:
        self.counted.append(text)
        self.say(self.state, Tokenized(number, len(text.split())))

    def stop(self) -> None:
        self.stops += 1

    def close(self) -> None: ...

    def say(self, state: SessionState, occurrence: Occurrence) -> None:
        self.state = state
        self.listener(state, occurrence)

    def with_phase(self, phase: Phase, *, turn: TurnState | None = None) -> SessionState:
        s = self.state
        return SessionState(
            phase=phase, wanted=s.wanted, loaded=s.loaded, last_good=s.last_good, memory=s.memory, turn=turn,
            last_timings=s.last_timings, n_past=s.n_past,
        )  # fmt: skip

    def load(
        self, got: int = 4, *, most: int = 13, device: bool = True, name: str = "model", ladder: tuple[int, ...] = ()
    ) -> None:
        spec = self.wanted[-1]
        fact = replace(loaded(spec, got, most, device=device, name=name), ladder=ladder)
        self.say(SessionState(phase=Phase.READY, wanted=spec, loaded=fact, last_good=fact.spec), fact)

    def piece(self, text: str, *, tokens: int = 1) -> None:
        turn = self.submitted[-1][0]
        self.say(self.with_phase(Phase.GENERATING, turn=TurnState(turn, tokens=tokens)),
                 Piece(turn, "answer", text, tokens, 20 + tokens, 1.0))  # fmt: skip

    def end(self, stop: str = "end", *, tokens: int = 41) -> None:
        turn = self.submitted[-1][0]
        state = self.with_phase(Phase.READY)
        self.say(state, TurnEnded(turn, stop, replace(timings(), tokens=tokens)))  # type: ignore[arg-type]


def loaded(spec: LoadSpec, got: int, most: int, *, device: bool, name: str = "model") -> Loaded:
    cpu = DeviceFacts("CPU", "cpu", "a processor", 8 * GIB, 16 * GIB)
    gpu = DeviceFacts("CUDA0", "gpu", "A Card", 6 * GIB, 8 * GIB)
    ledger = [DeviceLedger("CPU", "cpu", 100 * MIB, 10 * MIB, 5 * MIB, most - got)]
    if device:
        ledger.append(DeviceLedger("CUDA0", "gpu", got * 50 * MIB, 20 * MIB, 7 * MIB, got))
    return Loaded(
        model=ModelFacts(spec.model, name, "llama", "Q4_K_M", most - 1, 8192, 10**9, GIB, 32000, 2048, True),
        spec=LoadSpec(
            model=spec.model,
            n_gpu_layers=got,
            placement="layers" if spec.placement == "best" else spec.placement,
            n_ctx=8192,
        ),
        layers=LayerCount(got, got, most),
        devices=tuple(ledger),
        memory=(cpu, gpu) if device else (cpu,),
        n_ctx=8192,
        flash_attn=True,
        sampling=Sampling(),
        notices=() if device else (f"No GPU device: 0 of {most} layers can be offloaded; built for the CPU.",),
        load_seconds=1.5,
    )


def timings() -> Timings:
    return Timings(
        prompt_tokens=20, reused_tokens=5, prompt_seconds=0.5, ttft_seconds=0.6, tokens=41, eval_seconds=2.0, n_past=61
    )


def sample(at: float) -> Sample:
    return Sample(time=at, host=HostSample(ram_total=16 * GIB, ram_used=4 * GIB, cpu=0.25, load1=0.5))


@dataclass
class Screen:
    """An app that runs, and how to press its keys."""

    app: OfftuiApp
    pilot: Pilot[None]

    async def until(self, predicate: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + seconds
        while not predicate():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s; on the screen: {self.said()}")
            await self.pilot.pause(0.01)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def ask(self, text: str) -> None:
        """Type into the prompt and send; at once, as a test has no time to type like a person."""
        self.app.main.chat.prompt.load_text(text)
        self.app.main.chat.prompt.action_submit()
        await self.pilot.pause()

    def said(self) -> list[tuple[str, str]]:
        """Role and text of everything in the transcript."""
        return [(entry.role, entry.text) for entry in self.app.main.chat.transcript.entries]

    @property
    def phase(self) -> Phase:
        return self.app.main.session.phase

    @property
    def status(self) -> str:
        return self.line("status")

    def line(self, id: str) -> str:
        from offtui.ui.widgets.line import Line

        return self.app.main.query_one(f"#{id}", Line).text


@asynccontextmanager
async def opened(
    engine: Callable[[Listener], Engine],
    *,
    size: tuple[int, int] = (120, 36),
    options: Options | None = None,
    files: Sequence[ModelFile] = (),
    planner: Callable[[Callable[[PlanView], None]], Planning] | None = None,
    memory: Memory | None = None,
) -> AsyncIterator[Screen]:
    """The app, running until the block ends."""
    ports = Ports(
        engine,
        lambda listener, *_: StillWatch(listener),
        lambda listener: StillShelf(files, listener),
        planner,
        memory,
        Keeper,
    )
    app = OfftuiApp(options or Options(model="/models/first.gguf", config=Config()), ports)
    try:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            yield Screen(app, pilot)
    finally:
        await asyncio.to_thread(app.close)


@asynccontextmanager
async def with_worker(
    *arguments: str, size: tuple[int, int] = (120, 36), options: Options | None = None
) -> AsyncIterator[Screen]:
    """The app over a real session with the fake worker."""
    command = [sys.executable, str(WORKER), *arguments]

    def engine(listener: Listener) -> Engine:
        return Session(listener, command=command, spare=False)

    async with opened(engine, size=size, options=options) as screen:
        yield screen


@asynccontextmanager
async def with_recorder(
    *,
    size: tuple[int, int] = (120, 36),
    options: Options | None = None,
    files: Sequence[ModelFile] = (),
    memory: Memory | None = None,
) -> AsyncIterator[tuple[Screen, Recorder]]:
    """The app over a recorder."""
    made: list[Recorder] = []

    def make(listener: Listener) -> Engine:
        made.append(Recorder(listener))
        return made[-1]

    async with opened(make, size=size, options=options, files=files, memory=memory) as screen:
        await screen.until(lambda: bool(made and made[0].wanted))
        yield screen, made[0]
