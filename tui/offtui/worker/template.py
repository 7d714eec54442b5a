"""The chat template of a model file: rendered in a sandbox, with a fallback and a sentence where there is none."""

import datetime
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NoReturn

import jinja2
from jinja2 import ext, filters
from jinja2.sandbox import ImmutableSandboxedEnvironment

from offtui.protocol.spec import Message
from offtui.worker.failures import fail

MAX_RENDERED: Final = 32 * 1024 * 1024
"""Characters a prompt may have; more than any context holds."""

CHATML: Final = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLAIN: Final = (
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{{ m.content }}\n\n{% elif m.role == 'user' %}User: {{ m.content }}\n"
    "{% else %}Assistant: {{ m.content }}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
PLAIN_STOPS: Final = ("\nUser:", "\nAssistant:")


_MAX_WIDTH: Final = 10_000
"""Columns that a filter or a method may pad a text to."""
_WIDE: Final = re.compile(r"\d{5,}|\*")
"""In a format string: a width that is long, or comes from a value."""


def _check_width(text: object, arguments: Iterable[object]) -> None:
    """Refuse what makes a text of any length out of nothing.

    Raises:
        OverflowError: a width is out of all proportion.
    """
    if isinstance(text, str) and _WIDE.search(text):
        raise OverflowError("a format in the chat template is too wide")
    if any(isinstance(argument, int) and argument > _MAX_WIDTH for argument in arguments):
        raise OverflowError("a width in the chat template is too large")


def _center(value: str, width: int = 80) -> str:
    _check_width(None, (width,))
    return filters.do_center(value, width)


def _indent(value: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    _check_width(None, (width,))
    return filters.do_indent(value, width, first, blank)


def _format(value: str, *arguments: Any, **named: Any) -> str:
    _check_width(value, ())
    return filters.do_format(value, *arguments, **named)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Also refuses the arithmetic with which a template could take all memory or never end."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call(self, context: Any, obj: Any, /, *arguments: Any, **named: Any) -> Any:
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str):
            formats = getattr(obj, "__name__", "").startswith("format")
            _check_width(owner if formats else None, arguments)
        return super().call(context, obj, *arguments, **named)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            raise TypeError("text formatting with % is not allowed in a chat template")
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "**" and not (numbers and abs(left) < 1e6 and abs(right) < 64):
            raise OverflowError("a power in the chat template is too large")
        if operator == "*" and not numbers:
            sized, count = (left, right) if isinstance(right, int) else (right, left)
            if not isinstance(count, int) or not isinstance(sized, str) or len(sized) * count > 100_000:
                raise OverflowError("a repetition in the chat template is too large")
        return super().call_binop(context, operator, left, right)


def _raise_exception(message: object) -> NoReturn:
    raise jinja2.TemplateError(str(message))


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().astimezone().strftime(form)


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **_: object) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


class ChatTemplate:
    """Turns messages into the prompt of one model."""

    def __init__(self, source: str | None, bos: str, eos: str, has_token: Callable[[str], bool]) -> None:
        """Compile the file's template, or the best fallback.

        Args:
            source: the template in the file; ``None`` where there is none.
            bos: text of the begin-of-sequence token.
            eos: text of the end-of-sequence token.
            has_token: whether a text is one token of the vocabulary.
        """
        self.notice = ""
        """What a person should know of the template; empty where the file's own is used."""
        self.stops: tuple[str, ...] = ()
        """Stop strings the fallback needs."""
        self.knows_thinking = False
        """Whether the file's template can be told to have the model think, or not."""
        self._values = {"bos_token": bos, "eos_token": eos}
        environment = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[ext.loopcontrols])
        environment.filters["tojson"] = _tojson
        environment.filters.update(center=_center, indent=_indent, format=_format)
        environment.globals.update({"raise_exception": _raise_exception, "strftime_now": _strftime_now})  # pyright: ignore[reportArgumentType, reportCallIssue] -- jinja2 types its globals by those it ships
        if source:
            try:
                self._template = environment.from_string(source)
                self.knows_thinking = "enable_thinking" in source
                return
            except (jinja2.TemplateError, RecursionError, OverflowError, TypeError, ValueError) as error:
                reason = f"This file's chat template is broken ({error})"
        else:
            reason = "This file has no chat template"
        if has_token("<|im_start|>") and has_token("<|im_end|>"):
            self.notice = f"{reason}; ChatML is used, whose marks its vocabulary has."
            self._template = environment.from_string(CHATML)
        else:
            self.notice = f"{reason}; plain 'User:' and 'Assistant:' lines are used. It may be no chat model."
            self._template = environment.from_string(PLAIN)
            self.stops = PLAIN_STOPS

    def render(self, messages: Sequence[Message], *, think: bool | None = None) -> str:
        """The prompt, up to where the answer begins.

        Args:
            messages: the conversation.
            think: for templates that know ``enable_thinking``; ``None`` leaves it to them.

        Raises:
            WorkerError: of kind ``bad_template``; the template refuses these messages or does something forbidden.
        """
        plain = [_as_dict(message) for message in messages]
        try:
            try:
                return self._render(plain, think)
            except jinja2.TemplateError:
                if len(plain) < 2 or plain[0]["role"] != "system":
                    raise
                return self._render(_merge_system(plain), think)
        except jinja2.TemplateError as error:
            raise fail("bad_template", f"The model's chat template refuses this conversation: {error}") from error
        except Exception as error:  # a template is a program of the file's, and may raise whatever it likes
            raise fail("bad_template", f"The model's chat template fails: {error}") from error

    def _render(self, messages: list[dict[str, str]], think: bool | None) -> str:
        parts: list[str] = []
        length = 0
        chosen = {} if think is None or not self.knows_thinking else {"enable_thinking": think}
        for part in self._template.generate(
            messages=messages, add_generation_prompt=True, tools=None, documents=None, **self._values, **chosen
        ):
            length += len(part)
            if length > MAX_RENDERED:
                raise OverflowError(f"it renders more than {MAX_RENDERED} characters")
            parts.append(part)
        return "".join(parts)


def _as_dict(message: Message) -> dict[str, str]:
    plain = {"role": message.role, "content": message.content}
    if message.reasoning:
        plain["reasoning_content"] = message.reasoning
    return plain


def _merge_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """For templates without a system role: its text begins the first question."""
    system, first, *rest = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]
