"""The worker with llama.cpp for real, on the CPU and on a real second device."""

import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from offtui.protocol.events import HeaderRead, Hello, Loaded, LoadFailed, Piece, TurnEnded, TurnFailed, TurnStarted
from offtui.protocol.requests import Cancel, Generate, Load, Quit, ReadHeader
from offtui.protocol.spec import LoadSpec, Message, Sampling
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice
from tests.fakes.worker_client import GREEDY, WorkerClient

QUESTION = Message("user", "What is GPU offloading?")
LONG = Sampling(temperature=0.0, max_tokens=100_000)


def loaded(worker: WorkerClient, spec: LoadSpec) -> Loaded:
    worker.send(Load(spec))
    event = worker.wait_for(Loaded, LoadFailed)
    assert isinstance(event, Loaded), event
    return event


def failure(spec: LoadSpec) -> LoadFailed:
    with WorkerClient() as worker:
        worker.send(Load(spec))
        event = worker.wait_for(Loaded, LoadFailed)
        assert isinstance(event, LoadFailed), event
        assert worker.process.wait(timeout=10) == 0
        return event


def spec_of(model: Path, **change: object) -> LoadSpec:
    return LoadSpec(model=str(model), **{"n_gpu_layers": 0, "n_ctx": 2048, "n_threads": 1, **change})  # type: ignore[arg-type]


def test_the_handshake_names_the_backends() -> None:
    with WorkerClient() as worker:
        hello = worker.wait_for(Hello)
        assert hello.pid == worker.process.pid
        assert "RPC" in hello.backends, "these tests need llama.cpp built with -DGGML_RPC=on"
        worker.send(Quit())
        assert worker.process.wait(timeout=10) == 0


def test_the_split_is_real_and_does_not_change_the_text(tiny_model: Path, device: RunningDevice) -> None:
    texts: list[str] = []
    weights: list[int] = []
    for layers in (0, 4, 13):
        with WorkerClient() as worker:
            got = loaded(worker, spec_of(tiny_model, n_gpu_layers=layers, rpc=(device.endpoint,)))
            remote = next(row for row in got.devices if row.kind == "rpc")
            cpu = next(row for row in got.devices if row.kind == "cpu")
            assert (got.layers.asked, got.layers.got, got.layers.max) == (layers, layers, 13)
            assert (remote.layers, cpu.layers) == (layers, 13 - layers)
            assert (remote.kv > 0) == (layers > 1)  # 1 would be the output layer, which has no cache
            assert remote.kv + cpu.kv == 12 * 2 * 128 * 2 * 2048  # layers, K and V, heads' width, f16, cells
            weights.append(remote.weights)
            texts.append(worker.turn(1, [QUESTION])[0])
    assert weights[0] == 0 < weights[1] < weights[2]
    assert texts[0] == texts[1] == texts[2] != ""


def test_without_a_device_nothing_is_said_to_be_offloaded(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        got = loaded(worker, spec_of(tiny_model, n_gpu_layers=13))
        assert (got.layers.asked, got.layers.got) == (13, 0)
        assert [row.kind for row in got.devices] == ["cpu"]
        assert any("No GPU device: 0 of 13 layers" in notice for notice in got.notices)


def test_auto_offloads_what_fits(tiny_model: Path, device: RunningDevice) -> None:
    with WorkerClient() as worker:
        got = loaded(worker, spec_of(tiny_model, n_gpu_layers=None, rpc=(device.endpoint,)))
        assert got.layers.got == 13


def test_only_new_tokens_are_evaluated_turn_after_turn(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model))
        messages: list[Message] = []
        before = 0
        for number in range(1, 5):
            messages.append(Message("user", f"Question {number}?"))
            answer, _, ended, events = worker.turn(number, messages)
            assert isinstance(ended, TurnEnded)
            started = next(event for event in events if isinstance(event, TurnStarted))
            assert started.reused_tokens == before
            assert started.prompt_tokens - started.reused_tokens < 40
            before = ended.timings.n_past
            messages.append(Message("assistant", answer))


def test_a_forked_conversation_reuses_what_is_common(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model))
        first = [Message("system", "Be short. " * 20), Message("user", "One?")]
        plain = worker.turn(1, first)[0]
        worker.turn(2, [*first, Message("assistant", plain), Message("user", "Two?")])
        again, _, _, events = worker.turn(3, first)
        assert again == plain
        started = next(event for event in events if isinstance(event, TurnStarted))
        assert started.reused_tokens == started.prompt_tokens - 1


def test_a_sliding_window_model_answers_over_turns(swa_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(swa_model))
        messages = [QUESTION]
        for number in range(1, 4):
            answer, _, ended, _ = worker.turn(number, messages)
            assert isinstance(ended, TurnEnded), ended
            messages += [Message("assistant", answer), Message("user", "More?")]


def test_a_sliding_window_that_moved_on_is_not_taken_for_the_beginning(swa_model: Path) -> None:
    shared = Message("system", "Be brief and kind. " * 30)
    first, second = Message("user", "One?"), Message("user", "Something else, please.")
    with WorkerClient() as worker:
        loaded(worker, spec_of(swa_model, n_ctx=4096))
        worker.turn(1, [shared, first], Sampling(temperature=0.0, max_tokens=1500))
        text, _, _, events = worker.turn(2, [shared, second])
    with WorkerClient() as fresh:
        loaded(fresh, spec_of(swa_model, n_ctx=4096))
        assert text == fresh.turn(1, [shared, second])[0]
    started = next(event for event in events if isinstance(event, TurnStarted))
    assert started.reused_tokens == 0


def test_a_tiny_context_is_rounded_up_and_survives_a_long_prompt(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        got = loaded(worker, spec_of(tiny_model, n_ctx=16))
        assert got.spec.n_ctx == got.n_ctx == 256
        assert any("rounded up" in notice for notice in got.notices)
        assert isinstance(worker.turn(1, [Message("user", "word " * 30)])[2], TurnEnded)


def test_cancel_in_decode_keeps_the_partial_answer(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model, n_ctx=8192))
        worker.send(Generate(1, (QUESTION,), LONG))
        worker.wait_for(Piece)
        worker.send(Cancel(1))
        _, _, ended, _ = worker.finish_turn()
        assert isinstance(ended, TurnEnded)
        assert ended.stop == "cancelled"
        assert worker.turn(2, [QUESTION])[2].turn == 2


def test_cancel_in_prompt_eval(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model, n_ctx=32768))
        worker.send(Generate(1, (Message("user", "word " * 5000),), LONG))
        worker.wait_for(TurnStarted)
        worker.send(Cancel(1))
        text, _, ended, _ = worker.finish_turn()
        assert isinstance(ended, TurnEnded)
        assert (ended.stop, text, ended.timings.tokens) == ("cancelled", "", 0)
        assert worker.turn(2, [QUESTION])[0] == fresh_text(tiny_model, 32768)


def fresh_text(model: Path, n_ctx: int) -> str:
    with WorkerClient() as worker:
        loaded(worker, spec_of(model, n_ctx=n_ctx))
        return worker.turn(1, [QUESTION])[0]


def test_a_cancel_that_comes_late_does_not_touch_the_next_turn(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model))
        worker.turn(1, [QUESTION])
        worker.send(Cancel(1))
        ended = worker.turn(2, [QUESTION])[2]
        assert isinstance(ended, TurnEnded)
        assert ended.stop == "max_tokens"


def test_a_full_context_stops_and_says_so(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model, n_ctx=256))
        ended = worker.turn(1, [QUESTION], LONG)[2]
        assert isinstance(ended, TurnEnded)
        assert (ended.stop, ended.timings.n_past) == ("context_full", 256)


def test_a_prompt_longer_than_the_context_is_refused_with_numbers(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model, n_ctx=256))
        failed = worker.turn(1, [Message("user", "word " * 1000)])[2]
        assert isinstance(failed, TurnFailed)
        assert failed.failure.kind == "prompt_too_long"
        assert "256" in failed.failure.message
        assert isinstance(worker.turn(2, [QUESTION])[2], TurnEnded)


def test_a_seed_makes_the_answer_the_same(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model))
        texts = [
            worker.turn(number, [QUESTION], Sampling(temperature=1.0, seed=seed, max_tokens=30))[0]
            for number, seed in enumerate((7, 7, 8))
        ]
        assert texts[0] == texts[1] != texts[2]


def test_a_repetition_penalty_breaks_a_loop(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model))
        plain = worker.turn(1, [QUESTION], GREEDY)[0]
        changed = worker.turn(2, [QUESTION], Sampling(temperature=0.0, max_tokens=24, repeat_penalty=1.8))[0]
        assert plain != changed


def test_a_stop_string_ends_the_answer_and_is_not_in_it(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model))
        plain = worker.turn(1, [QUESTION])[0]
        stop = plain[5:8]
        text, _, ended, _ = worker.turn(2, [QUESTION], Sampling(temperature=0.0, max_tokens=24, stop=(stop,)))
        assert isinstance(ended, TurnEnded)
        assert ended.stop == "stop_string"
        assert text == plain[: plain.find(stop)]


def test_text_is_whole_characters_and_nothing_that_acts_on_a_terminal(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model))
        hot = Sampling(temperature=5.0, top_k=0, top_p=1.0, min_p=0.0, seed=3, max_tokens=400)
        _, _, _, events = worker.turn(1, [QUESTION], hot)
        for event in events:
            if isinstance(event, Piece):
                assert all(letter >= " " or letter in "\n\t" for letter in event.text)


def test_the_times_are_the_workers_own(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model))
        ended = worker.turn(1, [QUESTION])[2]
        assert isinstance(ended, TurnEnded)
        times = ended.timings
        assert times.tokens == 24
        assert 0 < times.prompt_seconds <= times.ttft_seconds
        assert 0 < times.decode_seconds <= times.eval_seconds * 1.1
        assert times.tps is not None
        assert times.tps == pytest.approx(23 / times.eval_seconds)


def test_a_device_that_dies_in_an_answer_ends_the_worker_with_the_reason_in_its_log(tiny_model: Path) -> None:
    with RunningDevice() as own, WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model, n_gpu_layers=13, n_ctx=8192, rpc=(own.endpoint,)))
        worker.send(Generate(1, (QUESTION,), LONG))
        worker.wait_for(Piece)
        own.kill()
        assert worker.process.wait(timeout=10) == -signal.SIGABRT
        assert "RPC" in worker.log_text()


def test_a_busy_device_is_said(tiny_model: Path) -> None:
    with RunningDevice() as own, WorkerClient() as first:
        spec = spec_of(tiny_model, n_gpu_layers=2, rpc=(own.endpoint,))
        loaded(first, spec)
        assert failure(spec).failure.kind == "rpc_busy"


def test_of_several_devices_one_that_is_gone_can_be_left_out(tiny_model: Path, device: RunningDevice) -> None:
    with RunningDevice() as own:
        gone = own.endpoint
    spec = spec_of(tiny_model, n_gpu_layers=13, rpc=(gone, device.endpoint))
    assert failure(spec).failure.kind == "rpc_unreachable"
    with WorkerClient() as worker:
        event = loaded(worker, replace(spec, rpc_as_found=True))
        assert event.spec.rpc == (device.endpoint,)
        assert event.layers.got == 13
        assert any(gone in notice for notice in event.notices)
        assert not any(device.endpoint in notice for notice in event.notices)


@pytest.mark.parametrize("layers", [-1, 14, 99])
def test_layers_out_of_range_are_said(tiny_model: Path, layers: int) -> None:
    said = failure(spec_of(tiny_model, n_gpu_layers=layers)).failure
    assert said.kind == "out_of_range"
    assert "0 to 13" in said.message


def test_files_that_are_no_model_are_said(tmp_path: Path, tiny_model: Path) -> None:
    whole = tiny_model.read_bytes()
    cases: dict[str, tuple[bytes | None, str]] = {
        "missing.gguf": (None, "not_found"),
        "empty.gguf": (b"", "not_gguf"),
        "text.gguf": (b"hello, world\n" * 100, "not_gguf"),
        "[red]cut.gguf": (whole[: len(whole) // 2], "truncated"),
        "head\x1b[31m.gguf": (whole[:100], "not_gguf truncated unsupported"),
    }
    for name, (content, kinds) in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        said = failure(spec_of(path)).failure
        assert said.kind in kinds.split(), (name, said)
        assert "\x1b" not in said.message + said.evidence
    assert failure(spec_of(tmp_path)).failure.kind in ("permission", "not_gguf")


def test_a_model_of_an_unknown_architecture_is_said(tmp_path: Path, tiny_model: Path) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(tiny_model.read_bytes().replace(b"llama", b"lmama"))
    said = failure(spec_of(path)).failure
    assert said.kind == "unsupported"
    assert "architecture" in said.message


def test_a_model_without_a_tokenizer_is_said(tmp_path: Path) -> None:
    path = gguf_shapes.write_sparse(tmp_path / "bare.gguf", gguf_shapes.bench_tiny())
    assert failure(spec_of(path)).failure.kind == "no_tokenizer"


def test_a_load_that_cannot_get_its_memory_is_out_of_memory(tiny_model: Path) -> None:
    said = failure(spec_of(tiny_model, n_ctx=2_000_000_000)).failure
    assert said.kind == "out_of_memory"
    assert "RAM" in said.message
    assert "--ctx" in said.advice


def test_a_header_is_read_without_loading(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        worker.send(ReadHeader(str(tiny_model)))
        read = worker.wait_for(HeaderRead)
        assert read.header is not None
        assert (read.header.arch, read.header.n_layer, read.header.kind) == ("llama", 12, "model")
        worker.send(ReadHeader("/nowhere.gguf"))
        assert worker.wait_for(HeaderRead).failure is not None


def test_it_dies_with_its_parent(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        loaded(worker, spec_of(tiny_model, n_ctx=8192))
        worker.send(Generate(1, (QUESTION,), LONG))
        worker.wait_for(Piece)
        worker.socket.close()
        assert worker.process.wait(timeout=5) == 0


def test_a_garbled_frame_ends_it() -> None:
    with WorkerClient() as worker:
        worker.wait_for(Hello)
        worker.socket.sendall(b"\xff" * 64)
        assert worker.process.wait(timeout=10) == 70
        assert "garbled" in worker.log_text()


def test_ctrl_c_in_the_terminal_is_the_parents_business() -> None:
    with WorkerClient() as worker:
        worker.wait_for(Hello)
        os.kill(worker.process.pid, signal.SIGINT)
        worker.send(Quit())
        assert worker.process.wait(timeout=10) == 0
