"""One look of the keys, at every width."""

from offtui.ui.key_line import key_line

PAIRS = [("Enter", "open"), ("/", "find"), ("^S", "save")]


def test_what_does_not_fit_goes_from_the_end_and_the_way_out_stays() -> None:
    at = {width: key_line(PAIRS, width, leave=("Esc", "back")).plain for width in range(48)}
    assert at[47] == "Enter open   / find   ^S save   Esc back"
    assert at[39] == "Enter open  / find  ^S save  Esc back"  # closer together, where that saves one
    assert at[36] == "Enter open   / find   Esc back"
    assert at[21] == "Enter open   Esc back"
    assert at[10] == "Esc back"
    assert all(len(text) <= width or text == "Esc back" for width, text in at.items())


def test_keys_stand_out_and_their_words_do_not() -> None:
    line = key_line(PAIRS[:1], 40)
    assert [(line.plain[start:end], style) for start, end, style in line.spans] == [
        ("Enter", "bold $primary"),
        (" open", "$quiet"),
    ]
