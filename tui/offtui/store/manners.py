"""How answers are to be written, as a person chose it: named presets, and what holds for a model and for a chat.

One small JSON file among the app's data. Where it cannot be read or written, that is said once, and what is chosen
holds as long as the app runs.
"""

import contextlib
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Literal

import msgspec

from offtui.protocol.spec import Sampling
from offtui.store import private
from offtui.text import clean_line

WhenFull = Literal["stop", "drop", "larger"]
"""What becomes of a full context: the answer stops, the oldest turns are left out, or a larger one is loaded."""
MOST_CHATS = 500
"""Kept; the one changed longest ago goes first."""


class Manner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked for beside the question. ``None``: nothing is said about that here."""

    system_prompt: str | None = None
    sampling: Sampling = Sampling()
    when_full: WhenFull | None = None

    def over(self, below: "Manner") -> "Manner":
        """This, and what ``below`` says where this says nothing."""
        values = {
            name: getattr(self.sampling, name)
            if getattr(self.sampling, name) not in (None, "", ())
            else getattr(below.sampling, name)
            for name in Sampling.__struct_fields__
        }
        return Manner(
            system_prompt=below.system_prompt if self.system_prompt is None else self.system_prompt,
            sampling=Sampling(**values),
            when_full=self.when_full or below.when_full,
        )


NOTHING = Manner()


class _Kept(msgspec.Struct, omit_defaults=True):
    presets: dict[str, Manner] = {}
    models: dict[str, Manner] = {}
    chats: dict[str, Manner] = {}


class Manners:
    """Belongs to one thread; several offtuis may use the file."""

    def __init__(self, file: Path | None) -> None:
        """Keep in ``file``; ``None``: only as long as this lives."""
        self._file = file
        self._own = _Kept()
        """What could not be written."""
        self.notice = ""
        """What is wrong with the file; empty: nothing."""

    def presets(self) -> dict[str, Manner]:
        """By name, in the order of the names."""
        return dict(sorted(self._read().presets.items()))

    def of_model(self, model: str) -> Manner:
        """What holds for every chat with that model, by its path."""
        return self._read().models.get(model, NOTHING)

    def of_chat(self, chat: str) -> Manner:
        """What holds for that chat, by its id."""
        return self._read().chats.get(chat, NOTHING)

    def keep_preset(self, name: str, manner: Manner | None) -> None:
        """Keep a preset under a name; ``None`` takes it away."""
        self._change(lambda kept: _put(kept.presets, name, manner))

    def keep_for_model(self, model: str, manner: Manner) -> None:
        """From now on this holds for the model."""
        self._change(lambda kept: _put(kept.models, model, manner if manner != NOTHING else None))

    def keep_for_chat(self, chat: str, manner: Manner) -> None:
        """From now on this holds for the chat."""

        def change(kept: _Kept) -> None:
            _put(kept.chats, chat, manner if manner != NOTHING else None)
            while len(kept.chats) > MOST_CHATS:
                del kept.chats[next(iter(kept.chats))]

        self._change(change)

    def _change(self, change: Callable[[_Kept], None]) -> None:
        file = self._file
        if file is None:
            change(self._own)
            return
        try:
            with _alone(file):
                kept = self._read()
                change(kept)
                private.replace_file(file, msgspec.json.format(msgspec.json.encode(kept), indent=1))
            self._own = _Kept()
            self.notice = ""
        except (OSError, UnicodeEncodeError) as error:
            change(self._own)
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self.notice = f"Presets cannot be kept ({clean_line(why, 120)}); they hold until offtui ends."

    def _read(self) -> _Kept:
        kept = _Kept()
        if self._file is not None:
            try:
                kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
            except (FileNotFoundError, NotADirectoryError):
                pass  # nothing is kept yet
            except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
                self.notice = f"{clean_line(str(self._file), 200)} cannot be read: {clean_line(str(error), 120)}."
        for name in _Kept.__struct_fields__:
            getattr(kept, name).update(getattr(self._own, name))
        return kept


@contextlib.contextmanager
def _alone(file: Path) -> Generator[None]:
    """No other offtui writes meanwhile; a file that is none of ours is set aside."""
    with private.alone(file):
        if file.exists() and not _is_ours(file):
            os.replace(file, file.with_name(f"{file.name}.damaged"))
        yield


def _is_ours(file: Path) -> bool:
    try:
        msgspec.json.decode(file.read_bytes(), type=_Kept)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def _put(kept: dict[str, Manner], name: str, manner: Manner | None) -> None:
    """As the newest; ``None``: not at all."""
    kept.pop(name, None)
    if manner is not None:
        kept[name] = manner
