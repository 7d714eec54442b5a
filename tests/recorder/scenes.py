"""Sessions and machines to record."""

from msgspec.structs import replace

from offtui.engine.state import LoadWanted, Occurrence, Phase, SessionState, TurnWanted, advance
from offtui.monitor.sample import GpuProcess, GpuSample, HostSample, ProcessSample, Sample
from offtui.protocol.events import Loaded, Piece, TurnEnded, TurnStarted
from offtui.protocol.facts import Timings
from offtui.protocol.spec import LoadSpec
from offtui.recorder.tape import Tape
from tests.ui.harness import GIB, loaded, timings

SPEC = LoadSpec(model="/m/model.gguf", n_gpu_layers=4)


def card(index: int = 0, **fields: object) -> GpuSample:
    """A card as the harness's load has it."""
    known = {"name": "A Card", "uuid": f"GPU-{index}", "total": 8 * GIB, "used": 2 * GIB, "free": 6 * GIB}
    return GpuSample(index=index, **{**known, **fields})  # type: ignore[arg-type]


def sample(at: float, *gpus: GpuSample, worker: ProcessSample | None = None) -> Sample:
    """One look at a machine with these cards."""
    host = HostSample(ram_total=16 * GIB, ram_used=4 * GIB, swap_used=0, cpu=0.25, per_core=(0.2, 0.3), load1=0.5)
    return Sample(time=at, wall=1_800_000_000 + at, host=host, gpus=gpus, worker=worker)


def process(pid: int, name: str = "", used: int | None = GIB) -> GpuProcess:
    return GpuProcess(pid, name, used)


class Show:
    """A session that is told what happens, and its tape."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.state = SessionState(phase=Phase.EMPTY)

    def hear(self, occurrence: Occurrence, at: float) -> None:
        self.state = advance(self.state, occurrence)
        self.tape.hear(self.state, occurrence, at)

    def load(self, at: float, layers: int = 4, *, took: float = 1.5) -> Loaded:
        """From the wish until it is up, as the first load or in place of another."""
        spec = replace(SPEC, n_gpu_layers=layers)
        self.hear(LoadWanted(spec), at)
        if self.state.replacing:
            self.state = replace(self.state, phase=Phase.LOADING, replacing=False, loaded=None)
        self.state = replace(self.state, has_worker=True)
        fact = replace(loaded(spec, layers, 13, device=True), load_seconds=took)
        self.hear(fact, at + took)
        return fact

    def answer(self, at: float, turn: int = 1, *, first: float = 0.5, took: float = 2.0, tokens: int = 41) -> None:
        self.hear(TurnWanted(turn), at)
        self.hear(TurnStarted(turn, 20, 5), at + 0.01)
        self.hear(Piece(turn, "answer", "a", 1, 21, at + first), at + first)
        self.hear(Piece(turn, "answer", "b", tokens, 20 + tokens, at + took), at + took)
        self.hear(TurnEnded(turn, "end", of(tokens, took - first)), at + took)


def of(tokens: int, seconds: float) -> Timings:
    return replace(timings(), tokens=tokens, eval_seconds=seconds)
