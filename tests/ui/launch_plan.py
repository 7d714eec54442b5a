"""Opens the screen over a load of a big model that never ran, and a planner: ``FOLDER GIB NGL [SHAPE]``."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from offtui.engine.state import Phase, SessionState
from offtui.gguf.header import Header
from offtui.monitor.sampler import Sampler
from offtui.options import Options
from offtui.plan.probe import HeaderReply
from offtui.planner.planner import Planner, Tools
from offtui.planner.view import NoPlan, PlanView
from offtui.protocol.events import Loaded
from offtui.protocol.spec import LoadSpec, Placement
from offtui.store.measurements import Store
from offtui.ui.app import run
from offtui.ui.ports import Engine, Listener, Ports
from offtui.units import GIB
from tests.fakes import gguf_shapes as shapes
from tests.planner.scene import ended, header_at, loaded_as_planned
from tests.ui.harness import Recorder, StillShelf


def on_card(header: Header, layers: int, gib: float, placement: Placement = "layers") -> Loaded:
    """A load on a card of that many GiB, with nothing else on it."""
    fact = loaded_as_planned(header, layers, placement=placement)
    total = round(gib * GIB)
    gpu = msgspec.structs.replace(fact.memory[0], total=total, free=total - fact.devices[0].total - 350 * 1024**2)
    return msgspec.structs.replace(fact, memory=(gpu, *fact.memory[1:]))


class AtOnce(Recorder):
    """Loads whatever is wanted at once."""

    header: Header
    gib: float

    def want(self, spec: LoadSpec) -> None:
        super().want(spec)
        layers = 12 if spec.n_gpu_layers is None else spec.n_gpu_layers
        placement: Placement = "layers" if spec.placement == "best" else spec.placement
        fact = on_card(self.header, layers, self.gib, placement)
        self.say(
            SessionState(phase=Phase.READY, wanted=spec, loaded=fact, last_good=fact.spec, memory=fact.memory), fact
        )


def tools(header: Header, file: Path, others: Sequence[Header] = ()) -> Tools:
    known = {other.path: other for other in others}
    return Tools(
        store=lambda: Store(file),
        read_headers=lambda paths, leash: [
            HeaderReply(path=path, header=known.get(path, header), failure=None) for path in paths
        ],
        dry_load=lambda request, leash: [],
        bandwidth=lambda: 30e9,
    )


def main(folder: str, gib: str, layers: str, shape: str = "gemma_2_27b") -> int:
    header = header_at(Path(folder) / f"{shape}.gguf", getattr(shapes, shape)())

    def engine(listener: Listener) -> Engine:
        made = AtOnce(listener)
        made.header, made.gib = header, float(gib)
        return made

    def planner(listener: Callable[[PlanView | NoPlan], None]) -> Planner:
        made = Planner(listener, tools(header, Path(folder) / "measurements.db"))
        for measured, tps in ((4, 2.1), (16, 3.0)):
            fact = on_card(header, measured, float(gib))
            state = SessionState(phase=Phase.READY, loaded=fact, memory=fact.memory)
            made.hear(state, fact)
            made.hear(state, ended(tps))
        return made

    options = Options(model=header.path, n_gpu_layers=int(layers))
    return run(options, Ports(engine, Sampler, lambda listener: StillShelf((), listener), planner))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
