from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from offtui.engine.moves import MoveBegan, MoveFailed
from offtui.engine.state import Phase, SessionState, WorkerEnded
from offtui.options import Options
from offtui.protocol.events import LoadFailed
from offtui.protocol.facts import Failure, FailureKind
from offtui.protocol.spec import LoadSpec
from offtui.store.remembered import LoadTime, Remembered
from offtui.ui.ports import Engine
from offtui.ui.settings import Settings
from offtui.ui.steering import Steering
from tests.ui.harness import loaded


@dataclass
class Wishes(Engine):
    wanted: list[LoadSpec] = field(default_factory=list)
    gone_on: list[tuple[int, int]] = field(default_factory=list)

    def go_on(self, broken: int, turn: int) -> None:
        self.gone_on.append((broken, turn))

    def want(self, spec: LoadSpec) -> None:
        self.wanted.append(spec)


def steering(**options: object) -> tuple[Steering, Wishes]:
    made, engine = Steering(Settings.of(Options(**{"model": "/m/big.gguf", **options}))), Wishes()  # type: ignore[arg-type]
    made.attach(engine)
    return made, engine


def comes_up(made: Steering, engine: Wishes, layers: int = 4) -> LoadSpec:
    good = msgspec.structs.replace(engine.wanted[-1], n_gpu_layers=layers, n_ctx=8192)
    made.note(SessionState(phase=Phase.READY, wanted=engine.wanted[-1], last_good=good))
    return good


def test_a_first_load_that_fails_leads_to_the_guide() -> None:
    made, engine = steering()
    assert made.way_back_name() == "the guide"
    made.go_back()
    assert Path(engine.wanted[-1].model).name == "guide.gguf"


def test_a_worker_that_died_leads_to_the_same_load() -> None:
    made, engine = steering()
    good = comes_up(made, engine)
    made.note(SessionState(phase=Phase.CRASHED, wanted=engine.wanted[-1], last_good=good))
    assert made.way_back_name() == "big with 4 layers"
    made.go_back()
    assert engine.wanted[-1] == good


def test_a_split_that_fails_leads_to_the_one_before() -> None:
    made, engine = steering()
    good = comes_up(made, engine)
    made.layers(9)
    made.note(SessionState(phase=Phase.STOPPING, wanted=engine.wanted[-1], last_good=good))
    made.note(SessionState(phase=Phase.CRASHED, wanted=engine.wanted[-1], last_good=good))
    made.go_back()
    assert engine.wanted[-1] == good


def test_the_way_back_never_leads_in_a_circle() -> None:
    made, engine = steering(rpc=("h:1",))
    good = comes_up(made, engine)
    made.note(SessionState(phase=Phase.CRASHED, wanted=engine.wanted[-1], last_good=good))
    names = []
    for _ in range(3):
        names.append(made.way_back_name())
        made.go_back()
        made.note(SessionState(phase=Phase.CRASHED, wanted=engine.wanted[-1], last_good=good))  # it fails again
    assert names == ["big with 4 layers", "big without RPC devices", "the guide"]
    assert engine.wanted[2].rpc == ()


def fails(made: Steering, engine: Wishes, kind: FailureKind, good: LoadSpec | None = None) -> None:
    failure = Failure(kind, "It failed.")
    state = SessionState(phase=Phase.CRASHED, wanted=engine.wanted[-1], last_good=good, failure=failure)
    made.note(state, [LoadFailed(failure) if good is None else WorkerEnded(1, failure)])


def test_a_device_that_is_lost_is_done_without_first(tmp_path: Path) -> None:
    model = tmp_path / "big.gguf"
    model.touch()
    made, engine = steering(rpc=("h:1",), model=str(model))
    good = comes_up(made, engine)
    fails(made, engine, "device_lost", good)
    assert made.way_back_name() == "big without RPC devices"
    assert made.other_ways == "/rpc h:1 tries with the device again."
    assert made.way_on() == " without the RPC device"
    made.go_on(7, 8)
    assert (engine.wanted[-1].rpc, engine.wanted[-1].n_ctx, engine.gone_on) == ((), good.n_ctx, [(7, 8)])
    fails(made, engine, "crashed", good)
    assert (made.way_on(), made.other_ways) == ("", "")
    made.set("set.rpc", "h:1")
    assert (engine.wanted[-1].rpc, engine.wanted[-1].n_gpu_layers) == (("h:1",), None)


def test_of_several_devices_those_that_answer_stay(tmp_path: Path) -> None:
    model = tmp_path / "big.gguf"
    model.touch()
    made, engine = steering(rpc=("h:1", "i:2"), model=str(model))
    good = comes_up(made, engine)
    fails(made, engine, "device_lost", good)
    assert made.way_back_name() == "big on the RPC devices that answer"
    assert made.other_ways == "/rpc h:1 i:2 tries with all of them again."
    assert made.way_on() == " on the RPC devices that answer"
    made.go_on(7, 8)
    wanted = engine.wanted[-1]
    assert (wanted.rpc, wanted.rpc_as_found, wanted.n_gpu_layers, wanted.n_ctx) == (("h:1", "i:2"), True, None, 8192)
    comes_up(made, engine)
    fails(made, engine, "device_lost", good)  # the other one too
    assert made.way_back_name() == "big on the RPC devices that answer"
    made.go_back()
    fails(made, engine, "device_lost", good)  # and it does not come up either
    assert made.way_back_name() == "big without RPC devices"
    made.set("set.rpc", "h:1 i:2")
    assert not engine.wanted[-1].rpc_as_found


def test_an_answer_goes_on_as_before_where_no_device_was_lost() -> None:
    made, engine = steering(rpc=("h:1",))
    good = comes_up(made, engine)
    fails(made, engine, "crashed", good)
    made.go_on(7, 8)
    assert (len(engine.wanted), engine.gone_on, made.way_on()) == (1, [(7, 8)], "")


def test_a_file_that_is_missing_is_not_offered_again() -> None:
    made, engine = steering(rpc=("h:1",))
    fails(made, engine, "not_found")
    assert made.way_back_name() == "the guide"
    made.go_back()
    assert engine.wanted[-1].rpc == ("h:1",)
    fails(made, engine, "rpc_unreachable")
    assert made.way_back_name() == "the guide without RPC devices"


def test_a_file_that_was_missing_is_offered_again_once_it_is_there(tmp_path: Path) -> None:
    model = tmp_path / "big.gguf"
    made, engine = steering(model=str(model))
    fails(made, engine, "not_found")
    assert made.way_back_name() == "the guide"
    model.write_bytes(b"half of it")
    assert made.way_back_name() == "big"
    made.go_back()
    fails(made, engine, "truncated")
    assert made.way_back_name() == "the guide"
    model.write_bytes(b"the whole of it")
    assert made.way_back_name() == "big"
    made.go_back()
    assert engine.wanted[-1].model == str(model)


def test_what_failed_for_want_of_memory_can_be_fitted_until_something_is_up() -> None:
    made, engine = steering()
    fails(made, engine, "out_of_memory")
    assert made.can_fit
    made.layers(3)
    assert not made.can_fit
    fails(made, engine, "out_of_range")
    assert made.can_fit
    made.layers(3)
    up = loaded(engine.wanted[-1], 3, 13, device=True)
    made.note(SessionState(phase=Phase.READY, wanted=engine.wanted[-1], last_good=up.spec, loaded=up), [up])
    assert not made.can_fit


def test_a_context_that_fails_leads_to_the_one_that_worked() -> None:
    made, engine = steering()
    good = comes_up(made, engine)
    made.set("set.ctx", "16000000")
    made.note(SessionState(phase=Phase.CRASHED, wanted=engine.wanted[-1], last_good=good))
    assert made.way_back_name() == "big with 4 layers"
    made.go_back()
    assert engine.wanted[-1] == good


def test_a_move_that_fails_leaves_the_settings_of_what_is_up() -> None:
    made, engine = steering()
    good = comes_up(made, engine)
    made.layers(9)
    target = engine.wanted[-1]
    made.note(
        SessionState(phase=Phase.READY, wanted=good, last_good=good),
        [MoveBegan(target, True), MoveFailed(Failure("out_of_memory", "No room."))],
    )
    assert made.settings.spec == good
    made.set("set.ctx", "4096")
    assert (engine.wanted[-1].n_gpu_layers, engine.wanted[-1].n_ctx) == (4, 4096)


def test_a_move_that_fails_does_not_undo_a_newer_wish() -> None:
    made, engine = steering()
    good = comes_up(made, engine)
    made.layers(9)
    target = engine.wanted[-1]
    made.layers(7)
    made.note(
        SessionState(phase=Phase.READY, wanted=good, last_good=good),
        [MoveBegan(target, True), MoveFailed(Failure("cancelled", "The load was cancelled."))],
    )
    assert made.settings.spec.n_gpu_layers == 7


def test_a_setting_reaches_the_next_load() -> None:
    made, engine = steering()
    assert made.set("set.ctx", "4096") == "context: 4096"
    assert engine.wanted[-1].n_ctx == 4096
    assert len(engine.wanted) == 2


def test_a_study_leaves_the_settings_as_they_are_and_its_load_has_the_turned_layers(tmp_path: Path) -> None:
    small, big = (tmp_path / name for name in ("small.gguf", "big.gguf"))
    for file in (small, big):
        file.write_bytes(b"GGUF")
    memory = Remembered(tmp_path / "models.json")
    configured = LoadSpec(model=str(small))
    wanted = LoadSpec(model=str(small), n_gpu_layers=11, placement="ffn", n_ctx=4096)
    memory.keep(wanted, configured, LoadTime(11, 1, 1.0))
    made, engine = Steering(Settings.of(Options(model=str(big))), memory), Wishes()
    made.attach(engine, load=False)
    assert engine.wanted == []
    spec = made.about(small).spec
    assert (spec.n_gpu_layers, spec.placement, spec.n_ctx) == (11, "ffn", 4096)
    assert (made.settings.spec.model, made.as_before) == (str(big), "")
    made.load(small, 3, "layers")
    assert (engine.wanted[-1].n_gpu_layers, engine.wanted[-1].placement, engine.wanted[-1].n_ctx) == (3, "layers", 4096)
    assert made.as_before == "ctx 4096"
    made.load(small, 5, "ffn")
    assert made.as_before == ""


def test_a_number_of_layers_is_one_of_the_placement_that_is_up() -> None:
    made, engine = steering(placement="best")
    up = loaded(LoadSpec(model="/m/big.gguf", n_gpu_layers=4, placement="experts"), 4, 13, device=True)
    state = SessionState(phase=Phase.READY, wanted=engine.wanted[-1], loaded=up)
    made.layers_text("5", state)
    assert (engine.wanted[-1].n_gpu_layers, engine.wanted[-1].placement) == (5, "experts")
    made.set("set.placement", "best")
    made.layers_text("auto", state)
    assert (engine.wanted[-1].n_gpu_layers, engine.wanted[-1].placement) == (None, "best")


def test_what_is_up_already_is_said_to_be_so() -> None:
    made, engine = steering(model="good.gguf")
    up = loaded(engine.wanted[-1], 4, 13, device=True)
    made.note(SessionState(phase=Phase.READY, wanted=engine.wanted[-1], loaded=up, last_good=up.spec))
    state = SessionState(phase=Phase.READY, wanted=engine.wanted[-1], loaded=up)
    assert made.layers_text(str(up.spec.n_gpu_layers), state).startswith("already so: 4 of 13 layers")
    assert "already so" not in made.layers_text("9", state)
    assert "already so" not in made.set("set.kv", "q8_0")
