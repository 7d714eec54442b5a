"""Presets and what holds for models and chats, in a file that others write too."""

from pathlib import Path

import pytest

from offtui.protocol.spec import Sampling
from offtui.store.manners import MOST_CHATS, NOTHING, Manner, Manners

COLD = Manner(system_prompt="Be brief.", sampling=Sampling(temperature=0.0, stop=("###",)), when_full="drop")


def test_what_is_kept_is_there_again(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "presets.json"
    first = Manners(file)
    first.keep_preset("cold", COLD)
    first.keep_for_model("/m.gguf", Manner(sampling=Sampling(top_k=5)))
    first.keep_for_chat("c1", COLD)
    second = Manners(file)
    assert second.presets() == {"cold": COLD}
    assert second.of_model("/m.gguf").sampling.top_k == 5
    assert second.of_chat("c1") == COLD
    assert second.of_chat("c2") == second.of_model("/other") == NOTHING
    second.keep_preset("cold", None)
    second.keep_for_chat("c1", NOTHING)
    assert (first.presets(), first.of_chat("c1")) == ({}, NOTHING)


def test_two_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    one, other = Manners(tmp_path / "p.json"), Manners(tmp_path / "p.json")
    one.keep_preset("a", COLD)
    other.keep_preset("b", COLD)
    assert list(one.presets()) == ["a", "b"]


def test_what_says_nothing_leaves_it_to_what_lies_below() -> None:
    below = Manner(system_prompt="Base", sampling=Sampling(temperature=1.0, top_k=3, grammar="g"), when_full="larger")
    assert Manner(sampling=Sampling(temperature=0.0)).over(below) == Manner(
        system_prompt="Base", sampling=Sampling(temperature=0.0, top_k=3, grammar="g"), when_full="larger"
    )
    assert Manner(system_prompt="").over(below).system_prompt == ""
    assert Manner(sampling=Sampling(think=False)).over(Manner(sampling=Sampling(think=True))).sampling.think is False


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"presets": 3}', b"\xff\xfe"])
def test_a_damaged_file_is_said_and_set_aside_when_something_is_kept(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "p.json"
    file.write_bytes(content)
    manners = Manners(file)
    assert manners.presets() == {}
    assert "cannot be read" in manners.notice
    manners.keep_preset("cold", COLD)
    assert manners.presets() == {"cold": COLD}
    assert (tmp_path / "p.json.damaged").read_bytes() == content


def test_where_nothing_can_be_written_it_holds_while_the_app_runs(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("no folder")
    manners = Manners(blocked / "p.json")
    manners.keep_preset("cold", COLD)
    assert manners.presets() == {"cold": COLD}
    assert "cannot be kept" in manners.notice


def test_the_chats_changed_longest_ago_are_forgotten(tmp_path: Path) -> None:
    manners = Manners(tmp_path / "p.json")
    manners._file.write_text(
        '{"chats": {' + ", ".join(f'"c{number}": {{"when_full": "drop"}}' for number in range(MOST_CHATS)) + "}}"
    )
    manners.keep_for_chat("new", COLD)
    assert manners.of_chat("new") == COLD
    assert manners.of_chat("c0") == NOTHING
    assert manners.of_chat("c1").when_full == "drop"
