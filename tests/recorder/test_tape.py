import csv
import json
from pathlib import Path

import pytest

from offtui.engine.state import LoadWanted, TurnWanted, WorkerEnded
from offtui.errors import UsageError
from offtui.monitor.history import Event
from offtui.protocol.events import LoadFailed, Piece, PromptProgress, TurnEnded, TurnStarted
from offtui.protocol.facts import Failure
from offtui.recorder import export
from offtui.recorder.tape import Tape
from tests.recorder.scenes import SPEC, Show, card, of, sample


def marks(show: Show) -> list[tuple[float, Event, str]]:
    return [(mark.time, mark.event, mark.note) for mark in show.tape.history.marks()]


def test_a_load_an_answer_and_a_reload_are_marks_at_their_times() -> None:
    show = Show()
    show.load(10.0, 4)
    show.answer(20.0)
    show.load(30.0, 9, took=2.5)
    assert marks(show) == [
        (10.0, Event.LOAD, "4"),
        (11.5, Event.LOADED, "4/13 layers in 1.5 s"),
        (20.01, Event.PROMPT, "20 tokens, 5 reused"),
        (20.5, Event.FIRST_TOKEN, ""),
        (22.0, Event.STOP, "end"),
        (30.0, Event.RELOAD, "9"),
        (32.5, Event.LOADED, "9/13 layers in 2.5 s"),
    ]


def test_a_crash_and_a_load_that_fails_are_marks_and_the_answer_is_closed() -> None:
    show = Show()
    show.load(0.0)
    show.hear(TurnWanted(1), 5.0)
    show.hear(WorkerEnded(show.state.epoch, Failure("out_of_memory", "No room.")), 6.0)
    show.hear(LoadWanted(SPEC), 7.0)
    show.hear(LoadFailed(Failure("cancelled", "The load was cancelled.")), 8.0)
    assert [(time, event) for time, event, _ in marks(show)[2:]] == [
        (6.0, Event.CRASH),
        (7.0, Event.RELOAD),
        (8.0, Event.STOP),
    ]
    (answer,) = show.tape.answers()
    assert (answer.stop, answer.timings, answer.ended) == ("crash", None, 6.0)


def test_tokens_per_second_are_those_since_the_look_before_and_a_gap_between_answers() -> None:
    show = Show()
    show.load(0.0)
    show.hear(TurnWanted(1), 1.0)
    for at, tokens in ((1.5, 1), (2.0, 11), (2.5, 31)):
        show.hear(Piece(1, "answer", "x", tokens, 20 + tokens, at), at)
        show.tape.observe(sample(at), show.state)
    assert [value for _, value in show.tape.history.series("tps")] == [20.0, 40.0]
    show.tape.observe(sample(3.0), show.state)
    assert len(show.tape.history.series("tps")) == 2, "the next token is only waited for"
    show.hear(TurnEnded(1, "end", of(31, 1.0)), 3.2)
    show.answer(4.0, 2)
    show.tape.observe(sample(7.0), show.state)
    show.tape.observe(sample(8.0), show.state)
    assert [value for _, value in show.tape.history.series("tps")][2:] == [40 / 1.5, None]


def prompts(show: Show) -> list[float]:
    return [value for _, value in show.tape.history.series("prompt_tps") if value is not None]


def test_a_prompt_that_no_look_saw_shows_its_speed_once() -> None:
    show = Show()
    show.load(0.0)
    show.tape.observe(sample(0.9), show.state)
    show.hear(TurnWanted(1), 1.0)
    show.tape.observe(sample(1.0), show.state)
    show.hear(TurnStarted(1, 120, 20), 1.1)
    show.hear(Piece(1, "answer", "x", 1, 121, 1.3), 1.3)
    for at in (1.5, 2.0):
        show.tape.observe(sample(at), show.state)
    assert prompts(show) == [pytest.approx(500.0)]
    show.hear(TurnEnded(1, "end", of(31, 1.0)), 3.2)
    show.tape.observe(sample(3.2), show.state)
    assert len(prompts(show)) == 1, "it was told already"
    show.answer(4.0, 2, tokens=51)
    show.tape.observe(sample(7.0), show.state)
    show.tape.observe(sample(8.0), show.state)
    assert prompts(show)[1:] == [of(51, 1.5).prompt_tps], "by the worker's clock, where all came between two looks"


def test_a_prompt_that_is_looked_at_shows_what_is_done_between_two_looks() -> None:
    show = Show()
    show.load(0.0)
    show.hear(TurnWanted(1), 1.0)
    show.hear(TurnStarted(1, 1000, 0), 1.0)
    for at, done in ((1.5, 200), (2.0, 500), (2.5, 900)):
        show.hear(PromptProgress(1, done, 1000), at)
        show.tape.observe(sample(at), show.state)
    show.hear(Piece(1, "answer", "x", 1, 1001, 2.7), 2.7)
    show.tape.observe(sample(3.0), show.state)
    assert prompts(show) == [600.0, 800.0]


def test_joules_of_an_answer_come_from_the_counter_and_are_kept_by_layers() -> None:
    show = Show()
    show.load(0.0, 4)
    show.tape.observe(sample(10.0, card(energy_j=1000.0)), show.state)
    show.answer(11.0, 1, took=2.0, tokens=40)
    assert show.tape.answers()[0].energy_j is None, "only the next look tells"
    show.tape.observe(sample(12.0, card(energy_j=1100.0)), show.state)
    assert show.tape.answers()[0].energy_j is None, "which was taken before its end"
    (told,) = show.tape.observe(sample(14.0, card(energy_j=1500.0)), show.state)
    (answer,) = show.tape.answers()
    assert told == answer == show.tape.answer_of(1)
    assert show.tape.observe(sample(15.0, card(energy_j=1600.0)), show.state) == []
    assert show.tape.answer_of(2) is None
    # half of the first 100 J, all and half of the 400 J from 12 to 14 s
    assert answer.energy_j == pytest.approx(50 + 200)
    assert answer.joules_per_token == pytest.approx(250 / 40)
    assert show.tape.joules_by_layers() == {4: pytest.approx(6.25)}


def test_joules_come_from_the_power_where_there_is_no_counter() -> None:
    show = Show()
    show.load(0.0, 4)
    for second in range(10, 16):
        show.tape.observe(sample(float(second), card(power_w=100.0)), show.state)
        if second == 12:
            show.answer(12.0, took=2.0)
    assert show.tape.answers()[0].energy_j == pytest.approx(200.0)


@pytest.mark.parametrize("what", ["no power", "lost", "counter anew", "no card"])
def test_joules_that_are_not_known_are_not_made_up(what: str) -> None:
    show = Show()
    show.load(0.0, 4)
    readings = {
        "no power": [card()] * 3,
        "lost": [card(energy_j=10.0), card(), card(energy_j=30.0)],
        "counter anew": [card(energy_j=1000.0), card(energy_j=10.0), card(energy_j=20.0)],
        "no card": [card(name="Another card", energy_j=1.0), card(name="Another card", energy_j=2.0)] * 2,
    }[what]
    for second, reading in enumerate(readings):
        if second == 1:
            show.answer(10.2, took=1.5)
        show.tape.observe(sample(10.0 + second, reading), show.state)
    assert show.tape.answers()[0].energy_j is None


def test_values_of_several_devices_are_added_and_kept_apart() -> None:
    show = Show()
    show.load(0.0)
    show.tape.observe(sample(1.0, card(power_w=50.0, util=0.5), card(1, power_w=30.0, util=0.1)), show.state)
    history = show.tape.history
    assert history.series("vram").newest() == card().used, "a card that llama.cpp cannot use is not of the session"
    assert history.series("power").newest() == 50.0
    assert history.series("util").newest() == 0.5
    assert history.series("bandwidth").newest() is None
    assert history.series("layers").newest() == 4


def test_another_terminals_tape_is_a_copy_that_grows() -> None:
    show, copy = Show(), Tape()
    show.load(0.0)
    show.tape.observe(sample(2.0, card()), show.state)
    show.tape.observe(sample(3.0), show.state)
    backlog = show.tape.backlog()
    copy.take_over(backlog)
    show.answer(5.0)
    show.load(9.0, 7)
    copy.take(show.tape.news(backlog.entries.version))
    assert copy.history.marks() == show.tape.history.marks()
    assert copy.answers() == show.tape.answers()
    assert list(copy.history.series("vram")) == list(show.tape.history.series("vram"))
    assert [at for at, _ in copy.history.series("vram")] == [2.0, 3.0]
    assert copy.history.wall(2.5) == show.tape.history.wall(2.5) == 1_800_000_002.5
    assert show.tape.news(show.tape.news(0).version).marks == ()


def test_a_machine_that_slept_keeps_the_hours_of_both_days() -> None:
    tape = Tape()
    tape.history.set_clock(10.0, 1000.0)
    tape.history.set_clock(20.0, 1010.2)
    tape.history.set_clock(30.0, 50_000.0)
    assert [tape.history.wall(at) for at in (5.0, 15.0, 29.0, 31.0)] == [995.0, 1005.0, 1019.0, 50_001.0]


def test_the_history_becomes_a_table_and_a_document(tmp_path: Path) -> None:
    show = Show()
    show.load(0.0)
    show.tape.observe(sample(2.0, card(power_w=12.5)), show.state)
    show.answer(3.0)
    show.tape.observe(sample(6.0, card(power_w=12.5)), show.state)
    assert export.write(show.tape, tmp_path / "a.csv") == 2
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    looks = [row for row in rows if row["ram"]]
    assert [row["vram"] for row in looks] == [str(2 * 2**30)] * 2
    assert [row["power"] for row in looks] == ["12.5", "12.5"]
    assert looks[0]["bandwidth"] == "", "unknown is nothing, and not 0"
    assert next((row["mark"], row["note"]) for row in rows if row["mark"]) == ("load", "4")
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    export.write(show.tape, tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["columns"][:3] == ["time", "vram", "ram"]
    assert [str(value) for value in document["rows"][0][1:3]] == [str(2 * 2**30), str(4 * 2**30)]
    assert document["rows"][0][document["columns"].index("bandwidth")] is None
    assert document["answers"][0]["n_gpu_layers"] == 4
    assert document["answers"][0]["energy_j"] == pytest.approx(25.0)


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    export.write(Tape(), tmp_path / "a.csv")
    with pytest.raises(UsageError, match="there already"):
        export.write(Tape(), tmp_path / "a.csv")
    with pytest.raises(UsageError, match="not as"):
        export.write(Tape(), tmp_path / "a.xls")
    with pytest.raises(UsageError, match="cannot be written"):
        export.write(Tape(), tmp_path / "no" / "a.csv")
