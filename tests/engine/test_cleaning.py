"""Every text of every event is cleaned at the parent's boundary; what identifies something is not."""

import msgspec
import pytest

from offtui.engine.cleaning import clean_event
from offtui.protocol.events import (
    DeviceMemory,
    Event,
    HeaderRead,
    Hello,
    LoadFailed,
    LoadProgress,
    Piece,
    TurnEnded,
    TurnFailed,
)
from offtui.protocol.facts import DeviceFacts, Failure, HeaderFacts
from offtui.protocol.spec import LoadSpec
from tests.fakes.worker import loaded, timings

BAD = "\x1b]52;c;QQ==\x07\u202eevil\x9b"
FAILURE = Failure("internal", BAD, BAD + "\n" + BAD, BAD)
DEVICE = DeviceFacts(BAD, "gpu", BAD, None, None)
HEADER = HeaderFacts("/x", "model", BAD, BAD, BAD, 1, 1, 1, 1)

EVENTS = [
    Hello(1, BAD, (BAD,)),
    loaded(LoadSpec(model="a.gguf")),
    LoadFailed(FAILURE),
    TurnFailed(1, FAILURE),
    Piece(1, "answer", BAD, 1, 1, 1.0),
    DeviceMemory((DEVICE,), 1.0),
    HeaderRead("/x", HEADER),
    HeaderRead("/x", None, FAILURE),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_nothing_that_acts_on_a_terminal_gets_through(event: Event):
    written = msgspec.json.encode(clean_event(event)).decode()
    for bad in ("\x1b", "\\u001b", "\x07", "\\u0007", "\u202e", "\x9b"):
        assert bad not in written
    assert "evil" in written or "dirty" in written


@pytest.mark.parametrize("event", [*EVENTS, LoadProgress("weights", 0.5), TurnEnded(1, "end", timings(3))])
def test_cleaning_twice_changes_nothing_more(event: Event):
    once = clean_event(event)
    assert clean_event(once) == once


def test_newlines_stay_in_an_answer_and_go_from_a_message():
    assert clean_event(Piece(1, "answer", "a\n\tb", 1, 1, 1.0)).text == "a\n\tb"
    assert "\n" not in clean_event(LoadFailed(FAILURE)).failure.evidence


def test_the_spec_that_a_load_came_from_stays_as_it_is():
    spec = LoadSpec(model="odd\u202ename.gguf")
    assert clean_event(loaded(spec)).spec.model == spec.model
    assert "\u202e" not in clean_event(loaded(spec)).model.path
