from hypothesis import given
from hypothesis import strategies as st

from offtui.engine.state import Phase, Progress, SessionState
from offtui.protocol.facts import Failure
from offtui.protocol.spec import LoadSpec
from offtui.recorder.devices import DeviceUse, device_uses, has_device
from offtui.ui.panes.ledger import ledger_lines
from offtui.ui.panes.model_rows import model_row
from offtui.ui.panes.status import status
from offtui.ui.screens.arrangement import beside, covering, seen
from offtui.ui.widgets.draw import memory_bar, progress_bar, small_bar
from offtui.ui.widgets.gauges import Look, device_lines
from offtui.ui.widgets.strip import Split, Strip, strip_lines
from tests.ui.harness import GIB, loaded, timings

SPEC = LoadSpec(model="/m/some model.gguf")
sizes = st.integers(0, 2**45)


def ready(got: int = 28, most: int = 37, *, device: bool = True, name: str = "model") -> SessionState:
    return SessionState(
        phase=Phase.READY,
        wanted=SPEC,
        loaded=loaded(SPEC, got, most, device=device, name=name),
        last_timings=timings(),
        n_past=2100,
    )


@given(st.integers(0, 200), sizes, sizes, sizes)
def test_a_memory_bar_has_its_width_and_never_hides_a_little(width: int, ours: int, used: int, total: int) -> None:
    bar = memory_bar(width, ours, used, total).plain
    assert len(bar) == width
    if width and ours and total:
        assert "█" in bar


@given(st.integers(0, 50), st.floats(-1, 2))
def test_bars_keep_their_width(width: int, share: float) -> None:
    assert len(small_bar(width, share)) == width
    assert progress_bar(width, share).cell_length == width


@given(
    st.integers(1, 60), st.integers(0, 200), st.integers(0, 200), st.none() | st.integers(0, 200), st.integers(1, 200)
)
def test_the_strip_has_a_cell_per_layer(width: int, got: int, asked: int, draft: int | None, most: int) -> None:
    lines = strip_lines(width, strip(min(got, most), min(asked, most), draft, most))
    assert sum(line.cell_length for line in lines) == most
    assert all(line.cell_length <= width for line in lines)


def test_the_strip_tells_what_lies_there_from_what_would() -> None:
    assert strip_lines(20, strip(3, 3, None, 6))[0].plain == "■■■···"
    assert strip_lines(20, strip(3, 3, 5, 6))[0].plain == "■■■□□·"
    assert strip_lines(20, strip(3, 3, 1, 6))[0].plain == "■▪▪···"
    assert strip_lines(20, strip(3, 5, None, 6))[0].plain == "■■■▫▫·"


def strip(got: int, asked: int, draft: int | None, most: int) -> Strip:
    return Strip(most, Split(got), asked, None if draft is None else Split(draft))


def test_the_strip_has_a_sign_for_every_placement() -> None:
    def drawn(now: Split, draft: Split | None = None, limit: int | None = None) -> str:
        return strip_lines(20, Strip(6, now, now.layers, draft, limit))[0].plain

    assert drawn(Split(3, "ffn")) == "■■■▄▄▄"
    assert drawn(Split(3, "experts")) == "■■■▞▞▞"
    assert drawn(Split(0, "ffn")) == "······"
    assert drawn(Split(3), Split(2, "ffn")) == "■■▖▖▖▖"
    assert drawn(Split(3), Split(4, "experts")) == "■■■□▝▝"
    assert drawn(Split(3, "ffn"), Split(4, "ffn")) == "■■■□▄▄"
    assert drawn(Split(3, "ffn"), Split(2, "layers")) == "■■▪▪▪▪"
    assert drawn(Split(3, "ffn"), Split(0, "ffn")) == "▪▪▪▪▪▪"
    assert drawn(Split(2, "ffn"), None, 4) == "■■▄▄▄▄"
    assert drawn(Split(2), Split(5, "ffn"), 4) == "■■□□×▖"


def test_the_status_says_the_main_figures() -> None:
    text = status(ready(), None, None, 120).plain
    assert text == "model Q4_K_M · 28/37 layers · VRAM 2.0/8.0 ▇▂▁▁▁ · 20.0 t/s · ctx 2.1k/8.2k"


def test_a_narrow_status_leaves_out_the_least_important_first() -> None:
    texts = [status(ready(), None, None, width).plain for width in range(120, 10, -1)]
    assert all("28/37 layers" in text for text in texts)
    assert "ctx" not in texts[60]
    assert "VRAM" not in status(ready(), None, None, 40).plain


@given(st.integers(14, 200))
def test_the_status_fits(width: int) -> None:
    assert status(ready(), None, Split(30), width).cell_length <= max(width, len("28→30/37 layers"))


def test_the_status_follows_load_and_failure() -> None:
    loading = SessionState(phase=Phase.LOADING, wanted=SPEC, progress=Progress("weights", 0.43))
    assert status(loading, None, None, 80).plain.startswith("some model · loading: weights 43 %")
    crashed = SessionState(phase=Phase.CRASHED, failure=Failure("out_of_memory", "No room [/x]."))
    assert status(crashed, None, None, 80).plain == "✗ No room [/x]."


def test_devices_are_told_apart_and_unknown_is_not_nothing() -> None:
    (use,) = device_uses(ready(), None)
    assert (use.name, use.used, use.total) == ("CUDA0", 2 * GIB, 8 * GIB)
    assert has_device(ready())
    assert not has_device(ready(0, device=False))
    unknown = device_lines(DeviceUse(name="RPC0", title="host", kind="rpc"), Look(40))
    assert "memory unknown" in unknown[0].plain
    assert len(unknown) == 2


@given(st.integers(20, 120))
def test_tables_fit_their_pane(width: int) -> None:
    assert all(line.cell_length <= max(width, 37) for line in ledger_lines(ready(), width))
    (use,) = device_uses(ready(), None)
    assert all(line.cell_length <= max(width, 30) for line in device_lines(use, Look(width)))


def test_the_ledger_adds_a_row_per_device_ram_last() -> None:
    names = [line.plain.split()[0] for line in ledger_lines(ready(), 48)]
    assert names == ["layers", "CUDA0", "RAM", "asked"]


def test_a_model_row_keeps_the_size_whatever_the_name() -> None:
    from pathlib import Path

    from offtui.gguf.library import ModelFile
    from offtui.models.entries import Entry

    for name in ("short", "x" * 300, "[/b][@click=app.quit]evil", "漢字" * 60):
        file = ModelFile(path=Path("/m"), name=name, bytes=5 * GIB, quant="Q4_K_M")
        row = model_row(Entry(file=file), 44, up=False)
        assert row.plain.endswith("5.0 GiB")
        assert row.cell_length <= 44


def test_panes_find_their_place_by_width() -> None:
    assert beside(109) == frozenset()
    assert beside(110) == {"side"}
    assert beside(160) == {"side", "models"}
    assert (covering("dial", 120), covering("models", 120), covering("models", 160)) == ("", "models", "")
    assert seen(80, "dial") == {
        "chat": False, "models": False, "monitor": False, "side": True, "dial": True, "ledger": True,
    }  # fmt: skip
