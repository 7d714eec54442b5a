from hypothesis import given
from hypothesis import strategies as st

from offtui.worker.stops import StopMatcher


def run(text: str, stops: list[str], chunk: int) -> tuple[str, bool]:
    matcher = StopMatcher(stops)
    out = ""
    for start in range(0, len(text), chunk):
        out += matcher.feed(text[start : start + chunk])
        if matcher.stopped:
            return out, True
    return out + matcher.finish(), False


def test_the_stop_string_and_what_follows_is_not_passed_on() -> None:
    assert run("Yes.\nUser: and", ["\nUser:"], 1) == ("Yes.", True)


def test_the_beginning_of_a_stop_string_comes_out_when_it_goes_on_otherwise() -> None:
    assert run("Yes.\nUs two", ["\nUser:"], 1) == ("Yes.\nUs two", False)


def test_the_first_of_several_stops_counts() -> None:
    assert run("a STOP b END", ["END", "STOP"], 2) == ("a ", True)


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.integers(1, 5))
def test_it_cuts_where_a_search_in_the_whole_text_cuts(text: str, stops: list[str], chunk: int) -> None:
    ends = [at + len(stop) for stop in stops if (at := text.find(stop)) >= 0]
    out, stopped = run(text, stops, chunk)
    assert stopped == bool(ends)
    if not stopped:
        assert out == text
    else:
        assert text.startswith(out)
        assert not any(stop in out for stop in stops)
