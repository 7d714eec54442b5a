"""Chats as files: what is written is read back, and what others write is read."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offtui.errors import LoadError
from offtui.store.chats.exporting import to_json, to_markdown
from offtui.store.chats.importing import read_chats
from offtui.store.chats.values import Chat
from offtui.text import clean
from tests.store.chats.talk import STAMP, chat

texts = st.one_of(
    st.text(max_size=60).map(clean),
    st.lists(
        st.sampled_from(
            ["<!-- offtui:user -->", "<!-- \\offtui:x -->", "## you", "# t", "", "a", "```", "-->", "{", "[1]"]
        )
    ).map("\n".join),
)


def said(whole: Chat) -> list[tuple[str, str, str]]:
    return [(message.role, message.content, message.reasoning) for message in whole.branch()]


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, min_size=1, max_size=6), texts, texts)
def test_what_is_written_is_read_back(contents: list[str], reasoning: str, prompt: str) -> None:
    talk = chat("A title", *contents)
    messages = [
        msgspec.structs.replace(message, reasoning=reasoning if message.role == "assistant" else "")
        for message in talk.messages
    ]
    talk = msgspec.structs.replace(talk, messages=tuple(messages), system_prompt=prompt or None)
    for body in (to_json(talk), to_markdown(talk).encode()):
        (back,) = read_chats(body)
        assert said(back) == said(talk)
        assert back.row.title == "A title"
        assert back.system_prompt == (prompt or None)
        assert [message.stamp for message in back.branch()] == [message.stamp for message in talk.branch()]
        assert back.row.id != talk.row.id


def test_json_has_title_and_messages_of_the_branch_that_is_shown() -> None:
    talk = chat("t", "q", "a")
    other = msgspec.structs.replace(talk.messages[1], id=talk.messages[1].id + 1, content="another")
    talk = msgspec.structs.replace(talk, messages=(*talk.messages, other))
    data = json.loads(to_json(talk))
    assert data["title"] == "t"
    assert data["messages"][0] == {"role": "user", "content": "q", "stamp": None}
    assert data["messages"][1]["content"] == "another"
    assert data["messages"][1]["stamp"] == msgspec.to_builtins(STAMP)
    assert len(data["messages"]) == 2


@pytest.mark.parametrize(
    ("body", "found", "system"),
    [
        (
            [{"role": "system", "content": "be brief"}, {"role": "user", "content": "q"}],
            [("user", "q", "")],
            "be brief",
        ),
        (
            {
                "model": "x",
                "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}],
            },
            [("user", "a\n\n[image_url]", "")],
            None,
        ),
        (
            [
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": None, "tool_calls": []},
                {"role": "tool", "content": "7"},
                {"role": "assistant", "content": "a", "reasoning_content": "hm"},
            ],
            [("user", "q", ""), ("assistant", "", ""), ("assistant", "a", "hm")],
            None,
        ),
        (
            [
                {"role": "user", "content": "<think>q</think>"},
                {"role": "assistant", "content": "<think>\nhm\n</think>\n\na <think>b</think>"},
            ],
            [("user", "<think>q</think>", ""), ("assistant", "a <think>b</think>", "hm")],
            None,
        ),
        (
            [{"messages": [{"role": "user", "content": "\x1b]52;c;QQ==\x07evil\u202e"}]}],
            [("user", "]52;c;QQ==evil", "")],
            None,
        ),
    ],
)
def test_what_other_programs_write_is_read(body: object, found: list[tuple[str, str, str]], system: str | None) -> None:
    (back,) = read_chats(json.dumps(body).encode())
    assert said(back) == found
    assert back.system_prompt == system
    assert back.row.title


def test_an_object_a_line_is_a_chat_a_line() -> None:
    lines = [json.dumps({"title": name, "messages": [{"role": "user", "content": name}]}) for name in ("one", "two")]
    assert [back.row.title for back in read_chats("\n".join(lines).encode())] == ["one", "two"]


def test_markdown_with_headings_that_say_who_speaks_is_read() -> None:
    body = "# My chat\n\n## User\nWhy?\n\n## Assistant:\n\n**Because**\n\n### Not a speaker\n\n**User:**\nAnd?\n"
    (back,) = read_chats(body.encode())
    assert said(back) == [
        ("user", "Why?", ""),
        ("assistant", "**Because**\n\n### Not a speaker", ""),
        ("user", "And?", ""),
    ]
    assert back.row.title == "My chat"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "neither"),
        (b"\xff\xfe\x00", "neither"),
        (b"just text", "neither"),
        (b"[]", "no message"),
        (b"{}", "without `messages`"),
        (b"[1]", "no object"),
        (b'{"messages": 3}', "no list"),
        (b"[{", "no JSON"),
        (b'[{"role": "wizard", "content": ""}]', "wizard"),
        (b'[{"role": "user", "content": 3}]', "no text"),
        (b'{"messages": []}', "no message"),
        (b"[" * 5000, "JSON"),
        (b'{"messages": []}\n' + b"[" * 100_000, "JSON"),
        (b'[{"role": {}, "content": ""}]', "role"),
    ],
)
def test_what_is_no_chat_is_refused_with_a_sentence(body: bytes, why: str) -> None:
    with pytest.raises(LoadError, match=why):
        read_chats(body)


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["messages", "role", "content", "title", "stamp", "tags", "created", "state"]), inner
            )
        ),
    )
)
def test_any_json_is_read_or_refused(data: object) -> None:
    try:
        for back in read_chats(json.dumps(data).encode()):
            assert back.branch()
    except LoadError:
        pass
