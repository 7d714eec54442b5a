"""How answers are written, with llama.cpp for real: grammars, schemas, thinking, the oldest turns left out."""

import itertools
import json
from pathlib import Path

import msgspec
import pytest

from offtui.protocol.events import Loaded, Piece, Tokenized, TurnEnded, TurnFailed, TurnPaused, TurnStarted
from offtui.protocol.requests import Cancel, Generate, Load, Pause, Resume, Tokenize
from offtui.protocol.spec import LoadSpec, Message, Sampling
from tests.fakes.worker_client import WorkerClient

QUESTION = Message("user", "Is it so?")
YES_NO = 'root ::= ("yes" | "no") ", " [a-z]{3} "."'
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"layers": {"type": "integer"}, "fits": {"type": "boolean"}},
        "required": ["layers", "fits"],
        "additionalProperties": False,
    }
)
HOT = Sampling(temperature=1.5, top_k=0, seed=7, max_tokens=200)


def load(worker: WorkerClient, model: Path, n_ctx: int = 2048) -> Loaded:
    worker.send(Load(LoadSpec(model=str(model), n_gpu_layers=0, n_ctx=n_ctx, n_threads=1)))
    return worker.wait_for(Loaded)


def with_(**changes: object) -> Sampling:
    return msgspec.structs.replace(HOT, **changes)


def test_answers_follow_a_grammar_however_they_are_sampled(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        load(worker, tiny_model)
        for number, sampling in enumerate(
            (with_(temperature=0.0), with_(), with_(top_k=1), with_(repeat_penalty=1.3, repeat_last_n=-1))
        ):
            sampling = msgspec.structs.replace(sampling, grammar=YES_NO)
            text, _, ended, _ = worker.turn(number + 1, [QUESTION], sampling)
            assert isinstance(ended, TurnEnded), ended
            assert ended.stop == "end"
            assert text.split(", ")[0] in ("yes", "no")
            assert len(text.split(", ")[1]) == 4
            assert worker.turn(number + 100, [QUESTION], sampling)[0] == text


def test_answers_follow_a_json_schema(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        load(worker, tiny_model)
        text, _, ended, _ = worker.turn(1, [QUESTION], with_(json_schema=SCHEMA))
        assert isinstance(ended, TurnEnded), ended
        found = json.loads(text)
        assert isinstance(found["layers"], int)
        assert isinstance(found["fits"], bool)


@pytest.mark.parametrize(
    "sampling",
    [with_(grammar="root ::= ((("), with_(grammar="other ::= 'x'"), with_(json_schema="{"), with_(json_schema="[1]")],
)
def test_a_wrong_grammar_is_said_and_the_model_stays(tiny_model: Path, sampling: Sampling) -> None:
    with WorkerClient() as worker:
        load(worker, tiny_model)
        _, _, failed, _ = worker.turn(1, [QUESTION], sampling)
        assert isinstance(failed, TurnFailed)
        assert failed.failure.kind == "bad_grammar"
        assert isinstance(worker.turn(2, [QUESTION])[2], TurnEnded)


def test_an_answer_under_a_grammar_goes_on_in_another_worker_as_it_would_have(tiny_model: Path) -> None:
    sampling = with_(grammar='root ::= "(" [a-z]{60} ")"', seed=3)
    with WorkerClient() as first, WorkerClient() as second:
        load(first, tiny_model)
        load(second, tiny_model)
        whole = first.turn(1, [QUESTION], sampling)[0]
        assert len(whole) == 62
        first.send(Generate(2, (QUESTION,), sampling))
        begun = first.wait_for(Piece).text
        first.send(Pause(2))
        for event in first.events:
            if isinstance(event, TurnPaused):
                break
            assert isinstance(event, Piece), event
            begun += event.text
        second.send(Resume(2, event.state))
        assert begun + second.finish_turn()[0] == whole


def test_an_answer_that_broke_off_goes_on_under_its_grammar(tiny_model: Path) -> None:
    sampling = with_(grammar='root ::= "<ab" [a-z]{5} ">"')
    with WorkerClient() as worker:
        load(worker, tiny_model)
        worker.send(Generate(1, (QUESTION, Message("assistant", "<abx")), sampling, go_on=True))
        text, _, ended, _ = worker.finish_turn()
        assert isinstance(ended, TurnEnded), ended
        assert len(text) == 5
        assert text.endswith(">")
        worker.send(Generate(2, (QUESTION, Message("assistant", "no such")), sampling, go_on=True))
        _, _, failed, _ = worker.finish_turn()
        assert isinstance(failed, TurnFailed)
        assert failed.failure.kind == "bad_grammar"


def test_tokens_are_counted_also_while_an_answer_is_written(tiny_model: Path) -> None:
    with WorkerClient() as worker:
        worker.send(Tokenize(1, "nobody is there yet"))
        load(worker, tiny_model)
        worker.send(Tokenize(2, "GPU offloading"))
        counted = worker.wait_for(Tokenized)
        assert (counted.number, counted.tokens > 0) == (2, True)
        worker.send(Generate(1, (QUESTION,), Sampling(temperature=0.0, max_tokens=100_000)))
        worker.wait_for(Piece)
        worker.send(Tokenize(3, "GPU offloading"))
        assert worker.wait_for(Tokenized, TurnEnded) == Tokenized(3, counted.tokens)
        worker.send(Cancel(1))
        assert worker.wait_for(TurnEnded).stop == "cancelled"


def test_the_oldest_turns_are_left_out_and_the_cache_is_kept_over_the_turns_after(tiny_model: Path) -> None:
    sampling = Sampling(temperature=0.0, max_tokens=8, drop_oldest=True)
    with WorkerClient() as worker:
        load(worker, tiny_model, n_ctx=512)
        messages = [Message("system", "Be brief.")]
        dropped: list[int] = []
        reused: list[int] = []
        for number in range(1, 13):
            messages.append(Message("user", f"Question {number}: " + "words " * 12))
            answer, _, ended, events = worker.turn(number, messages, sampling)
            assert isinstance(ended, TurnEnded), ended
            started = next(event for event in events if isinstance(event, TurnStarted))
            dropped.append(started.dropped)
            reused.append(started.reused_tokens)
            assert started.prompt_tokens < 512
            messages.append(Message("assistant", answer))
        assert dropped[0] == 0 < dropped[-1]
        assert dropped == sorted(dropped)
        assert len(set(dropped)) < 6, "it is emptied by half, not turn by turn"
        full = [number for number, (one, other) in enumerate(itertools.pairwise(dropped), 1) if one == other]
        assert all(reused[number] > 30 for number in full), "the cache is computed anew although nothing went"
        plain = msgspec.structs.replace(sampling, drop_oldest=False)
        failed = worker.turn(99, [*messages, Message("user", "More? " * 100)], plain)[2]
        assert isinstance(failed, TurnFailed)
        assert failed.failure.kind == "prompt_too_long"
