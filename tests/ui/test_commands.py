import itertools
from collections import Counter

import pytest

from offtui.engine.state import Phase
from offtui.errors import UsageError
from offtui.ui import slash
from offtui.ui.commands import BY_ID, COMMANDS, FOOTER_KEYS, Situation, Where, bindings, footer, palette
from offtui.ui.keys import key_name, keymap, keys_of
from offtui.ui.panes.footer import keys_line

NEVER = {
    "ctrl+a", "ctrl+b", "ctrl+h", "ctrl+i", "ctrl+m", "ctrl+left_square_bracket", "ctrl+tab", "ctrl+enter", "alt+enter",
    "f10", "f11", *(f"alt+{digit}" for digit in range(10)),
}  # fmt: skip


def test_ids_and_slash_names_are_unique() -> None:
    assert max(Counter(command.id for command in COMMANDS).values()) == 1
    assert max(Counter(command.slash for command in COMMANDS if command.slash).values()) == 1


def test_keys_that_terminals_take_are_never_bound() -> None:
    assert not NEVER & {key for command in COMMANDS for key in command.keys}


def test_no_key_means_two_things_in_one_place() -> None:
    for where in Where:
        around = (where,) if where is Where.ANYWHERE else (where, Where.ANYWHERE)
        keys = [key for command in COMMANDS if command.where in around and command.action for key in command.keys]
        doubled = {key for key, count in Counter(keys).items() if count > 1}
        assert doubled <= {"escape"}, where


def test_letters_act_only_where_no_text_is_typed() -> None:
    letters = [command for command in COMMANDS if any(len(key) == 1 for key in command.keys)]
    assert letters
    assert all(command.where not in (Where.ANYWHERE, Where.PROMPT) for command in letters)


def test_the_footer_never_has_more_than_five_keys_where_it_is_narrow_nor_loses_the_way_back() -> None:
    for phase, where, covered, device, back in itertools.product(Phase, Where, (0, 1), (0, 1), ("", "guide")):
        situation = Situation(phase, where, bool(covered), bool(device), back, True)
        shown, way_back = footer(situation)
        assert 0 < len(shown) + (way_back is not None) <= FOOTER_KEYS
        assert all(word for _, word in footer(situation, None)[0])
        for width in (8, 20, 40, 78, 97, 118, 198):
            line = keys_line(situation, {}, width)
            assert line.cell_length <= width
            assert way_back is None or line.plain.endswith("Esc back")


def test_a_wide_footer_names_all_there_is_to_do_with_a_model() -> None:
    situation = Situation(Phase.READY, Where.MODELS, pane_open=True)
    said = keys_line(situation, {}, 118).plain
    assert all(word in said for word in ("s sort", "f favourite", "m metadata", "D delete"))
    assert "s sort" not in keys_line(situation, {"models.sort": "none"}, 118).plain


def test_esc_is_offered_to_stop_in_the_chat_and_ctrl_c_in_a_pane() -> None:
    in_chat = footer(Situation(Phase.GENERATING, Where.PROMPT))
    in_pane = footer(Situation(Phase.LOADING, Where.DIAL, pane_open=True))
    assert (in_chat[0][0][0].id, in_chat[0][0][1]) == ("app.back", "stop")
    assert (in_pane[0][0][0].id, in_pane[0][0][1]) == ("app.interrupt", "cancel")


def test_the_palette_lists_only_what_applies() -> None:
    idle = {command.id for command in palette(Situation(Phase.READY, Where.PROMPT))}
    busy = {command.id for command in palette(Situation(Phase.GENERATING, Where.PROMPT))}
    assert "session.stop" in busy - idle
    assert "dial.open" in idle & busy


def test_a_key_can_be_given_away_and_taken_away() -> None:
    chosen = keymap({"dial.more": "ctrl+up", "chat.new": "none"})
    assert keys_of(BY_ID["dial.more"], chosen) == ["^↑"]
    assert keys_of(BY_ID["chat.new"], chosen) == []
    assert keys_of(BY_ID["dial.less"], chosen) == ["-"]


@pytest.mark.parametrize("id", ["dial.moar", "prompt.send", "set.ctx"])
def test_a_wrong_id_in_the_config_is_named(id: str) -> None:
    with pytest.raises(UsageError, match=f"'{id}'"):
        keymap({id: "x"})


def test_every_binding_has_the_id_of_its_command() -> None:
    made = [binding for where in Where for binding in bindings(where)]
    assert made
    assert all(binding.id in BY_ID for binding in made)


def test_keys_are_named_as_people_write_them() -> None:
    assert [key_name(key) for key in ("ctrl+r", "f2", "escape", "plus", "question_mark", "shift+up", "y")] == [
        "^R", "F2", "Esc", "+", "?", "Shift+↑", "y",
    ]  # fmt: skip


def test_a_slash_command_is_told_from_a_question() -> None:
    assert slash.is_slash("/ngl 4")
    assert not slash.is_slash("/ what is this")
    assert not slash.is_slash("//ngl")
    assert not slash.is_slash("/path\nand more")
    assert slash.parse("/NGL  +4 ").argument == "+4"


@pytest.mark.parametrize(("text", "said"), [("/nlg 4", "/ngl"), ("/xyzzy", "/help"), ("/stop now", "nothing after")])
def test_a_wrong_slash_command_says_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        slash.parse(text)


@pytest.mark.parametrize("keys", ["ctrl+", "", "ctrl+foo", "Ctrl+x", "f25", "ctrl+up, upwards", "question mark"])
def test_a_key_that_there_is_none_of_is_refused_by_name(keys: str) -> None:
    with pytest.raises(UsageError, match=r"dial\.more the key"):
        keymap({"dial.more": keys})


def test_every_key_of_the_commands_could_be_chosen() -> None:
    for command in COMMANDS:
        if command.keys and command.action:
            assert keymap({command.id: ",".join(command.keys)})
