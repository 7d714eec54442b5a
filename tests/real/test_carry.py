"""A conversation that goes from one worker to another: its KV cache, and an answer in the middle."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from offtui.protocol.carry import Manifest
from offtui.protocol.codec import encode
from offtui.protocol.events import (
    Loaded,
    LoadFailed,
    Piece,
    StateRestored,
    StateSaved,
    TurnEnded,
    TurnPaused,
    TurnResumed,
    TurnStarted,
)
from offtui.protocol.requests import Generate, Load, Pause, RestoreState, Resume, SaveState
from offtui.protocol.spec import LoadSpec, Message, Sampling
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice
from tests.fakes.worker_client import GREEDY, WorkerClient

QUESTION = Message("user", "What is GPU offloading?")
TOKENS = 600
LONG = Sampling(temperature=0.0, max_tokens=TOKENS)


@pytest.fixture
def memory() -> Iterator[int]:
    """A file without a name, as the parent makes it."""
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


def spec_of(model: Path, **change: object) -> LoadSpec:
    return LoadSpec(model=str(model), **{"n_gpu_layers": 0, "n_ctx": 2048, "n_threads": 1, **change})  # type: ignore[arg-type]


def load(worker: WorkerClient, spec: LoadSpec, keep_flash_attn: bool | None = None) -> Loaded:
    worker.send(Load(spec, keep_flash_attn))
    event = worker.wait_for(Loaded, LoadFailed)
    assert isinstance(event, Loaded), event
    return event


def save(worker: WorkerClient, memory: int) -> Manifest:
    socket.send_fds(worker.socket, [encode(SaveState())], [memory])
    saved = worker.wait_for(StateSaved)
    assert saved.manifest is not None, saved.why
    assert os.fstat(memory).st_size == saved.manifest.size
    return saved.manifest


def restore(worker: WorkerClient, manifest: Manifest, memory: int) -> StateRestored:
    socket.send_fds(worker.socket, [encode(RestoreState(manifest))], [memory])
    return worker.wait_for(StateRestored)


def pause(worker: WorkerClient, turn: int, pieces: int) -> tuple[str, TurnPaused]:
    """Text until then, and the event, having waited for some pieces."""
    text = ""
    seen = 0
    for event in worker.events:
        if isinstance(event, Piece):
            text += event.text
            seen += 1
            if seen == pieces:
                worker.send(Pause(turn))
        if isinstance(event, TurnPaused):
            return text, event
        assert not isinstance(event, TurnEnded), "the answer ended before the pause"
    raise AssertionError(worker.log_text())


def whole(spec: LoadSpec, sampling: Sampling) -> str:
    """The answer without any move."""
    with WorkerClient() as worker:
        load(worker, spec)
        return worker.turn(1, [QUESTION], sampling)[0]


@pytest.mark.parametrize("kind", ["dense", "swa", "hybrid", "latent", "experts"])
def test_the_next_turn_evaluates_nothing_again(
    kind: str, tiny_model: Path, swa_model: Path, tmp_path: Path, device: RunningDevice, memory: int
) -> None:
    model = {"dense": tiny_model, "swa": swa_model}.get(kind)
    if model is None:
        shape = {
            "hybrid": gguf_shapes.tiny_hybrid,
            "latent": gguf_shapes.tiny_latent,
            "experts": gguf_shapes.tiny_experts,
        }[kind]()
        model = gguf_shapes.write_random(tmp_path / f"{kind}.gguf", shape)
    talk = [Message("system", "Be kind. " * 40), QUESTION]
    with WorkerClient() as old:
        before = load(old, spec_of(model))
        talk.append(Message("assistant", old.turn(1, talk)[0]))
        manifest = save(old, memory)
        talk.append(Message("user", "And then?"))
        wanted, _, ended, _ = old.turn(2, talk)
        assert isinstance(ended, TurnEnded)
    with WorkerClient() as new:
        load(new, spec_of(model, n_gpu_layers=3, n_ctx=4096, rpc=(device.endpoint,)), before.flash_attn)
        restored = restore(new, manifest, memory)
        assert (restored.tokens, restored.why) == (manifest.n_tokens, "")
        text, _, _, events = new.turn(2, talk)
        started = next(event for event in events if isinstance(event, TurnStarted))
        assert started.reused_tokens == manifest.n_tokens
        assert text == wanted != ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"type_k": "q8_0", "type_v": "q8_0"}, "q8_0/q8_0 now"),
        ({"flash_attn": "off"}, "Flash attention is off now"),
        ({"n_ctx": 256}, "the context holds 256 now"),
    ],
)
def test_what_does_not_fit_together_is_said_and_evaluated_again(
    tiny_model: Path, memory: int, change: dict[str, object], why: str
) -> None:
    talk = [Message("user", "word " * 300)]
    with WorkerClient() as old:
        load(old, spec_of(tiny_model))
        old.turn(1, talk)
        manifest = save(old, memory)
    with WorkerClient() as new:
        load(new, spec_of(tiny_model, **change))
        restored = restore(new, manifest, memory)
        assert restored.tokens == 0
        assert why in restored.why
        text, _, ended, _ = new.turn(2, [QUESTION])
        assert isinstance(ended, TurnEnded)
        assert text


def test_a_file_that_was_replaced_is_not_the_same_model(tiny_model: Path, tmp_path: Path, memory: int) -> None:
    model = tmp_path / "changes.gguf"
    model.write_bytes(tiny_model.read_bytes())
    with WorkerClient() as old:
        load(old, spec_of(model))
        old.turn(1, [QUESTION])
        manifest = save(old, memory)
    model.write_bytes(tiny_model.read_bytes())
    os.utime(model, ns=(1, 1))
    with WorkerClient() as new:
        load(new, spec_of(model))
        assert "changed" in restore(new, manifest, memory).why


def test_damaged_memory_is_refused_and_the_worker_lives(tiny_model: Path, memory: int) -> None:
    with WorkerClient() as old:
        load(old, spec_of(tiny_model))
        old.turn(1, [QUESTION])
        manifest = save(old, memory)
    with WorkerClient() as new:
        load(new, spec_of(tiny_model))
        os.pwrite(memory, b"\xff" * 64, 0)
        assert "refused" in restore(new, manifest, memory).why
        os.ftruncate(memory, manifest.size // 2)
        assert "not whole" in restore(new, manifest, memory).why
        assert isinstance(new.turn(2, [QUESTION])[2], TurnEnded)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a Linux device node")
def test_no_room_is_said(tiny_model: Path) -> None:
    with WorkerClient() as worker, open("/dev/full", "r+b", buffering=0) as full:
        load(worker, spec_of(tiny_model))
        worker.turn(1, [QUESTION])
        socket.send_fds(worker.socket, [encode(SaveState())], [full.fileno()])
        saved = worker.wait_for(StateSaved)
        assert saved.manifest is None
        assert saved.why
        assert isinstance(worker.turn(2, [QUESTION])[2], TurnEnded)


@pytest.mark.parametrize(
    ("sampling", "splits"),
    [
        (LONG, (0, 13, 4, 0, 13)),
        # the device's arithmetic differs in the last bits: with random weights that tips what is not greedy
        (replace(LONG, repeat_penalty=1.3, repeat_last_n=40), (0, 0, 0, 0, 0)),
        (Sampling(temperature=1.2, top_k=40, seed=5, max_tokens=TOKENS, presence_penalty=0.5), (0, 0, 0, 0, 0)),
        (Sampling(temperature=4.0, top_k=0, top_p=1.0, min_p=0.0, seed=9, max_tokens=TOKENS), (13, 13, 13, 13, 13)),
    ],
    ids=["greedy", "penalties", "warm", "hot"],
)
def test_an_answer_that_moves_four_times_is_the_same(
    tiny_model: Path, device: RunningDevice, memory: int, sampling: Sampling, splits: tuple[int, ...]
) -> None:
    spec = spec_of(tiny_model, rpc=(device.endpoint,))
    wanted = whole(replace(spec, n_gpu_layers=splits[0]), sampling)
    text = ""
    state: TurnPaused | None = None
    manifest: Manifest | None = None
    for layers in splits[:-1]:
        with WorkerClient() as worker:
            load(worker, replace(spec, n_gpu_layers=layers), True)
            if state is None or manifest is None:
                worker.send(Generate(1, (QUESTION,), sampling))
            else:
                restore(worker, manifest, memory)
                worker.send(Resume(1, state.state))
                resumed = worker.wait_for(TurnResumed)
                assert resumed.kept_tokens == resumed.total_tokens - 1
            more, state = pause(worker, 1, 3)
            text += more
            manifest = save(worker, memory)
    with WorkerClient() as last:
        load(last, replace(spec, n_gpu_layers=splits[-1]), True)
        restore(last, manifest, memory)
        last.send(Resume(1, state.state))
        more, _, ended, _ = last.finish_turn()
        assert isinstance(ended, TurnEnded)
        assert text + more == wanted
        times = ended.timings
        assert (times.tokens, times.moves) == (TOKENS, 4)
        assert 0 < times.epoch_tokens < TOKENS
        assert times.eval_seconds > times.epoch_seconds > 0


def test_an_answer_goes_on_without_its_cache_by_evaluating_again(tiny_model: Path) -> None:
    wanted = whole(spec_of(tiny_model), LONG)
    with WorkerClient() as old:
        load(old, spec_of(tiny_model))
        old.send(Generate(1, (QUESTION,), LONG))
        text, state = pause(old, 1, 3)
    with WorkerClient() as new:
        load(new, spec_of(tiny_model))
        new.send(Resume(1, state.state))
        resumed = new.wait_for(TurnResumed)
        assert (resumed.kept_tokens, resumed.total_tokens) == (0, state.n_past + 1)
        more, _, ended, _ = new.finish_turn()
        assert isinstance(ended, TurnEnded)
        assert ended.timings.tokens == TOKENS
        assert (text + more)[: len(text) + 5] == wanted[: len(text) + 5]


def test_the_same_worker_can_take_its_turn_up_again(tiny_model: Path) -> None:
    wanted = whole(spec_of(tiny_model), LONG)
    with WorkerClient() as worker:
        load(worker, spec_of(tiny_model))
        worker.send(Generate(1, (QUESTION,), LONG))
        text, state = pause(worker, 1, 2)
        for _ in range(2):
            worker.send(Resume(1, state.state))
            more, state = pause(worker, 1, 2)
            text += more
        worker.send(Resume(1, state.state))
        assert text + worker.finish_turn()[0] == wanted


def test_a_pause_in_prompt_eval_keeps_what_is_evaluated(tiny_model: Path, memory: int) -> None:
    talk = (Message("user", "word " * 500),)
    spec = spec_of(tiny_model, n_ctx=8192)
    with WorkerClient() as worker:
        load(worker, spec)
        wanted = worker.turn(1, talk, GREEDY)[0]
    with WorkerClient() as old:
        load(old, spec)
        old.send(Generate(1, talk, GREEDY))
        started = old.wait_for(TurnStarted)
        old.send(Pause(1))
        paused = old.wait_for(TurnPaused)
        assert paused.n_past < started.prompt_tokens
        socket.send_fds(old.socket, [encode(SaveState())], [memory])
        saved = old.wait_for(StateSaved)
    with WorkerClient() as new:
        load(new, spec, True)
        if saved.manifest is not None:
            restore(new, saved.manifest, memory)
        new.send(Resume(1, paused.state))
        assert new.wait_for(TurnResumed).kept_tokens == paused.n_past
        text, _, ended, _ = new.finish_turn()
        assert isinstance(ended, TurnEnded)
        assert ended.timings.tokens == 24
        assert ended.timings.prompt_tokens == started.prompt_tokens
        assert text[:4] == wanted[:4]


def test_a_stopped_answer_goes_on_where_it_broke_off(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        load(worker, spec_of(tiny_model))
        wanted = worker.turn(1, [QUESTION], replace(LONG, max_tokens=60))[0]
        begun, _, _, _ = worker.turn(2, [QUESTION], replace(LONG, max_tokens=20))
        worker.send(Generate(3, (QUESTION, Message("assistant", begun)), replace(LONG, max_tokens=40), go_on=True))
        more, _, ended, events = worker.finish_turn()
        assert isinstance(ended, TurnEnded)
        started = next(event for event in events if isinstance(event, TurnStarted))
        assert started.reused_tokens >= started.prompt_tokens - 2
        assert begun + more == wanted


def test_a_dead_workers_answer_goes_on_in_another(tiny_model: Path) -> None:
    wanted = whole(spec_of(tiny_model), replace(LONG, max_tokens=60))
    begun = whole(spec_of(tiny_model), replace(LONG, max_tokens=20))
    with WorkerClient() as new:
        load(new, spec_of(tiny_model))
        new.send(Generate(2, (QUESTION, Message("assistant", begun)), replace(LONG, max_tokens=40), go_on=True))
        more, _, ended, _ = new.finish_turn()
        assert isinstance(ended, TurnEnded)
        assert begun + more == wanted
