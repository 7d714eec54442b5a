"""A chat as a file for others: Markdown that can be read back, or JSON. Of the branch that is shown."""

import re
from typing import Any

import msgspec

from offtui.store.chats.titles import UNTITLED
from offtui.store.chats.values import Chat, StoredMessage
from offtui.text import clean_line

MARK = "<!-- offtui:"
"""A line that begins so is not part of what was said; one that was said so gets a backslash before the name."""
_LIKE_A_MARK = re.compile(r"^<!-- (?=\\*offtui:)", re.MULTILINE)


def to_json(chat: Chat) -> bytes:
    """``title`` and ``messages`` with ``role``, ``content`` and ``stamp``, which is ``null`` but for answers; more."""
    row = chat.row
    said: list[dict[str, Any]] = []
    if chat.system_prompt:
        said.append({"role": "system", "content": chat.system_prompt, "stamp": None})
    for message in chat.branch():
        entry: dict[str, Any] = {"role": message.role, "content": message.content, "stamp": message.stamp}
        if message.reasoning:
            entry["reasoning"] = message.reasoning
        if message.state != "done":
            entry["state"] = message.state
        said.append(entry)
    whole = {
        "title": row.title,
        "id": row.id,
        "created": row.created,
        "updated": row.updated,
        "model": row.model,
        "tags": row.tags,
        "messages": said,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def to_markdown(chat: Chat) -> str:
    """Headings and texts for people; comments, which are not shown, for reading it back."""
    parts = [f"# {clean_line(chat.row.title) or UNTITLED}\n"]
    if chat.system_prompt:
        parts.append(_section("system", "", "system prompt", chat.system_prompt))
    for message in chat.branch():
        name = _name(message)
        if message.reasoning:
            parts.append(_section("reasoning", "", f"{name}, thinking", message.reasoning))
        stamp = msgspec.json.encode(message.stamp).decode().replace(">", "\\u003e") if message.stamp else ""
        parts.append(_section(message.role, stamp, name, message.content))
    return "\n".join(parts)


def _section(kind: str, stamp: str, name: str, text: str) -> str:
    body = _LIKE_A_MARK.sub(r"<!-- \\", text)
    return f"{MARK}{kind}{' ' if stamp else ''}{stamp} -->\n## {name}\n\n{body}\n"


def _name(message: StoredMessage) -> str:
    if message.role == "user":
        return "you"
    stamp = message.stamp
    parts = [stamp.name() or "assistant", stamp.text()] if stamp is not None else ["assistant"]
    return clean_line(" · ".join(part for part in parts if part))
