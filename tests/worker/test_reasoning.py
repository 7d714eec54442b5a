from hypothesis import given
from hypothesis import strategies as st

from offtui.worker.reasoning import FAMILIES, ReasoningSplitter


def split(text: str, prompt: str = "", chunk: int = 3) -> tuple[str, str]:
    splitter = ReasoningSplitter(prompt)
    out = {"answer": "", "reasoning": ""}
    for start in range(0, len(text), chunk):
        for channel, part in splitter.feed(text[start : start + chunk]):
            out[channel] += part
    for channel, part in splitter.finish():
        out[channel] += part
    return out["reasoning"], out["answer"]


def test_think_tags_are_told_apart_and_their_line_breaks_dropped() -> None:
    assert split("<think>\nhm\n</think>\n\nYes.") == ("hm\n", "Yes.")


def test_every_family_is_known() -> None:
    for marks in FAMILIES:
        assert split(f"{marks.begin}a b{marks.end}c d") == ("a b", "c d"), marks


def test_a_prompt_that_opened_the_reasoning_makes_the_beginning_reasoning() -> None:
    assert split("hm</think>Yes.", prompt="<|im_start|>assistant\n<think>\n") == ("hm", "Yes.")


def test_gpt_oss_channels() -> None:
    text = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes."
    assert split(text) == ("hm", "Yes.")
    assert split("<|channel|>final<|message|>Yes.") == ("", "Yes.")


def test_a_tag_in_the_middle_of_an_answer_is_text() -> None:
    assert split("Write <think> to think.") == ("", "Write <think> to think.")


def test_a_mark_cut_off_at_the_end_is_text() -> None:
    assert split("1 <thi") == ("", "1 <thi")
    assert split("<thi") == ("", "<thi")


def test_reasoning_that_never_ends_stays_reasoning() -> None:
    assert split("<think>on and on") == ("on and on", "")


@given(st.text(alphabet="<>/think|a \n[]THINK", max_size=60), st.integers(1, 9))
def test_the_chunking_does_not_matter(text: str, chunk: int) -> None:
    assert split(text, chunk=chunk) == split(text, chunk=max(1, len(text)))


@given(st.text(max_size=80))
def test_without_marks_the_text_passes_as_it_is(text: str) -> None:
    text = text.replace("<", "").replace("[", "")
    assert split(text) == ("", text)
