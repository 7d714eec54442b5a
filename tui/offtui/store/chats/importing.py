"""Chats from files: offtui's own JSON and Markdown, lists of ``messages`` as OpenAI's, and Markdown with headings."""

import re
import time
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from offtui.errors import LoadError
from offtui.store.chats.exporting import MARK
from offtui.store.chats.titles import UNTITLED, title_of
from offtui.store.chats.values import Chat, ChatRow, Stamp, StoredMessage, new_chat_id, new_message_id
from offtui.text import clean, clean_line

_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "model": "assistant", "gpt": "assistant",
          "system": "system", "developer": "system"}  # fmt: skip
_IGNORED = ("tool", "function")
_SPEAKERS = {"user": "user", "you": "user", "human": "user", "question": "user", "prompt": "user",
             "assistant": "assistant", "model": "assistant", "answer": "assistant", "bot": "assistant",
             "ai": "assistant", "chatgpt": "assistant", "system": "system", "system prompt": "system"}  # fmt: skip
_HEADING = re.compile(r"(?:#{1,6}\s+|\*\*)([^*#:]{1,40}?):?(?:\*\*:?)?\s*$")
_MARKED = re.compile(re.escape(MARK) + r"(user|assistant|system|reasoning) ?(.*) -->")
_THOUGHT = re.compile(r"\s*<think(?:ing)?>(.*?)</think(?:ing)?>\s*", re.DOTALL)
"""How programs that know no reasoning keep it, before the answer."""
_ESCAPED = re.compile(r"^<!-- \\(?=\\*offtui:)", re.MULTILINE)


class _Said(msgspec.Struct):
    role: str
    content: str
    reasoning: str = ""
    stamp: Stamp | None = None
    state: str = "done"


def read_chats(body: bytes) -> list[Chat]:
    """The chats in a file.

    Raises:
        LoadError: it is none of the formats, or says nothing.
    """
    text = body.decode("utf-8-sig", "replace")
    chats = list(_from_json(text)) if text.lstrip()[:1] in ("{", "[") else [_from_markdown(clean(text))]
    if not any(chat.messages for chat in chats):
        raise LoadError("There is no message in it.")
    return [chat for chat in chats if chat.messages]


def _from_json(text: str) -> Iterator[Chat]:
    try:
        data = msgspec.json.decode(text)
    except RecursionError:
        raise LoadError("It is JSON nested too deeply.") from None
    except msgspec.DecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            data = [msgspec.json.decode(line) for line in lines]
        except (msgspec.DecodeError, RecursionError):
            raise LoadError(f"It is no JSON: {clean_line(str(error), 200)}.") from None
    if isinstance(data, list):
        entries = cast("list[Any]", data)
        if entries and all(isinstance(entry, dict) and "messages" in entry for entry in entries):
            for number, entry in enumerate(entries, 1):
                yield _chat_of(entry, f"chat {number}, ")
            return
        yield _chat_of({"messages": entries}, "")
        return
    if not isinstance(data, dict) or "messages" not in data:
        raise LoadError("It is JSON without `messages`.")
    yield _chat_of(cast("dict[str, Any]", data), "")


def _chat_of(data: dict[str, Any], where: str) -> Chat:
    entries = data["messages"]
    if not isinstance(entries, list):
        raise LoadError(f"{where}`messages` is no list.".capitalize())
    said: list[_Said] = []
    for number, entry in enumerate(cast("list[Any]", entries), 1):
        said += _message_of(entry, f"{where}message {number}")
    title, tags, created = data.get("title"), data.get("tags"), data.get("created")
    return _chat(
        clean_line(title, 200) if isinstance(title, str) else "",
        said,
        tags=[clean_line(tag, 60) for tag in cast("list[Any]", tags) if isinstance(tag, str)]
        if isinstance(tags, list)
        else [],
        created=float(created) if isinstance(created, int | float) and 0 <= created < 1e11 else None,
    )


def _message_of(entry: Any, where: str) -> list[_Said]:
    if not isinstance(entry, dict):
        raise LoadError(f"{where} is no object.".capitalize())
    values = cast("dict[str, Any]", entry)
    role = values.get("role")
    if role in _IGNORED:
        return []
    if not isinstance(role, str) or role not in _ROLES:
        raise LoadError(f"{where} has the role {clean_line(str(role), 40)!r}.".capitalize())
    reasoning = values.get("reasoning") or values.get("reasoning_content")
    content = _content_of(values.get("content"), where)
    if _ROLES[role] == "assistant" and "stamp" not in values and not reasoning and (thought := _THOUGHT.match(content)):
        reasoning, content = thought[1].strip(), content[thought.end() :]
    stamp, state = values.get("stamp"), values.get("state")
    try:
        known = msgspec.convert(stamp, Stamp) if isinstance(stamp, dict) else None
    except msgspec.ValidationError:  # of an offtui whose stamps were others
        known = None
    return [
        _Said(
            _ROLES[role],
            clean(content),
            clean(reasoning) if isinstance(reasoning, str) else "",
            known,
            state if state in ("stopped", "failed") else "done",
        )
    ]


def _content_of(content: Any, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts: list[str] = []
        for part in cast("list[Any]", content):
            values = cast("dict[str, Any]", part) if isinstance(part, dict) else {"text": part}
            text = values.get("text")
            parts.append(text if isinstance(text, str) else f"[{clean_line(str(values.get('type')), 40)}]")
        return "\n\n".join(parts)
    raise LoadError(f"{where} has a content that is no text.".capitalize())


def _from_markdown(text: str) -> Chat:
    lines = text.split("\n")
    title = next((line[2:].strip() for line in lines[:5] if line.startswith("# ")), "")
    if any(_MARKED.fullmatch(line) for line in lines):
        return _chat("" if title == UNTITLED else title, list(_marked(lines)))
    said: list[_Said] = []
    for line in lines:
        heading = _HEADING.fullmatch(line)
        speaker = _SPEAKERS.get(heading[1].strip().casefold()) if heading else None
        if speaker is not None:
            said.append(_Said(speaker, ""))
        elif said:
            said[-1].content += line + "\n"
    if not said:
        raise LoadError("It is neither JSON nor a chat in Markdown: no heading says who speaks.")
    for entry in said:
        entry.content = entry.content.strip()
    return _chat(title, said)


def _marked(lines: list[str]) -> Iterator[_Said]:
    """offtui's own Markdown: a mark, a heading, an empty line, the text, an empty line."""
    places = [(number, found) for number, line in enumerate(lines) if (found := _MARKED.fullmatch(line))]
    reasoning = ""
    for (start, found), end in zip(places, [*(number for number, _ in places[1:]), len(lines)], strict=True):
        body = lines[start + 1 : end]
        if body and body[0].startswith("## "):
            body = body[2:] if len(body) > 1 and not body[1] else body[1:]
        if body and not body[-1]:
            body = body[:-1]
        text = _ESCAPED.sub("<!-- ", "\n".join(body))
        if found[1] == "reasoning":
            reasoning = text
            continue
        try:
            stamp = msgspec.json.decode(found[2], type=Stamp) if found[2] else None
        except msgspec.MsgspecError:  # changed by hand
            stamp = None
        yield _Said(found[1], text, reasoning, stamp)
        reasoning = ""


def _chat(title: str, said: list[_Said], *, tags: list[str] | None = None, created: float | None = None) -> Chat:
    id, now = new_chat_id(), time.time()
    system = "\n\n".join(entry.content for entry in said if entry.role == "system")
    messages: list[StoredMessage] = []
    for entry in said:
        if entry.role == "system":
            continue
        messages.append(
            StoredMessage(
                id=new_message_id(),
                chat=id,
                parent=messages[-1].id if messages else None,
                role="user" if entry.role == "user" else "assistant",
                content=entry.content,
                reasoning=entry.reasoning,
                state="stopped" if entry.state == "stopped" else "failed" if entry.state == "failed" else "done",
                created=now,
                stamp=entry.stamp,
            )
        )
    first = next((message.content for message in messages if message.role == "user"), "")
    row = ChatRow(
        id=id,
        title=title or title_of(first),
        named=bool(title),
        created=created if created is not None else now,
        updated=now,
        tags=tuple(dict.fromkeys(tags or ())),
    )
    return Chat(row=row, system_prompt=system or None, messages=tuple(messages))
