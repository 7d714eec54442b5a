"""Values by llama.cpp's names."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offtui.errors import UsageError
from offtui.protocol.spec import Sampling
from offtui.store.manners import Manner
from offtui.ui.manner import VALUES, sampling_of, summary, value_text, with_value

NOTHING = Manner()


@pytest.mark.parametrize(
    ("name", "typed", "kept"),
    [
        ("temperature", "0.2", 0.2),
        ("top_k", "0", 0),
        ("top_p", "1", 1.0),
        ("min_p", ".1", 0.1),
        ("repeat_penalty", "1.1", 1.1),
        ("repeat_last_n", "-1", -1),
        ("presence_penalty", "-0.5", -0.5),
        ("frequency_penalty", "0.5", 0.5),
        ("seed", "7", 7),
        ("max_tokens", "200", 200),
        ("stop", '"###" "\\nUser:" end', ("###", "\nUser:", "end")),
        ("grammar", 'root ::= "yes"', 'root ::= "yes"'),
        ("json_schema", '{"type": "object"}', '{"type": "object"}'),
        ("think", "off", False),
    ],
)
def test_each_value_is_taken_as_typed_shown_again_and_taken_away(name: str, typed: str, kept: object) -> None:
    manner = with_value(NOTHING, name, typed)
    assert getattr(manner.sampling, name) == kept
    assert with_value(NOTHING, name, value_text(manner, name)) == manner
    assert with_value(manner, name, "auto") == with_value(manner, name, "") == NOTHING


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("temperature", "hot"), ("temperature", "-1"), ("temperature", "nan"), ("top_k", "1.5"), ("top_p", "1.1"),
        ("seed", "-1"), ("max_tokens", "0"), ("stop", '"open'), ("grammar", "no/such/file"), ("json_schema", "{"),
        ("think", "maybe"),
        ("when_full", "explode"), ("nonsense", "1"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_one_sentence(name: str, typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_value(NOTHING, name, typed)
    assert "\n" not in str(caught.value)


def test_every_sampling_value_of_the_protocol_can_be_chosen() -> None:
    assert set(VALUES) - {"when_full"} == set(Sampling.__struct_fields__) - {"drop_oldest"}


def test_a_grammar_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "yes.gbnf"
    file.write_text('root ::= "yes"\n')
    assert with_value(NOTHING, "grammar", str(file)).sampling.grammar == 'root ::= "yes"\n'
    file.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot be read"):
        with_value(NOTHING, "grammar", str(file))


def test_a_schema_takes_the_place_of_a_grammar_and_the_other_way_round() -> None:
    manner = with_value(with_value(NOTHING, "grammar", "root ::= x"), "json_schema", "{}")
    assert summary(manner) == "a json schema"
    assert summary(with_value(manner, "grammar", "auto")) == "a json schema"
    assert summary(with_value(manner, "grammar", "root ::= x")) == "a grammar"


def test_the_worker_is_told_to_leave_out_turns_only_where_that_was_chosen() -> None:
    assert sampling_of(with_value(NOTHING, "when_full", "drop")).drop_oldest
    assert not sampling_of(with_value(NOTHING, "when_full", "larger")).drop_oldest


def test_a_summary_names_what_is_chosen() -> None:
    manner = msgspec.structs.replace(
        with_value(with_value(NOTHING, "top_k", "20"), "grammar", "r ::= x"), system_prompt="Hi"
    )
    assert summary(manner) == "top_k 20 · a grammar · a system prompt"
    assert "llama.cpp" in summary(NOTHING)


@given(st.sampled_from(sorted(VALUES)), st.text(max_size=30))
def test_whatever_is_typed_is_taken_or_refused(name: str, text: str) -> None:
    try:
        manner = with_value(NOTHING, name, text)
    except UsageError:
        return
    assert isinstance(value_text(manner, name), str)
