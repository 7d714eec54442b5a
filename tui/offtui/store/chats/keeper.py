"""The thread that keeps the chats: nobody else waits for the disk.

What cannot be written is said, kept in memory, laid over what can be read, and tried again until it can.
"""

import contextlib
import dataclasses
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from offtui.protocol.events import Channel
from offtui.store.chats.changes import NEW_CHAT, Change, ChatGone, Purge, PutChat, PutMessage, SetDeleted
from offtui.store.chats.opening import PATIENCE, Opened, open_chats, open_in_memory, reason
from offtui.store.chats.shelf import Library, Shelf
from offtui.store.chats.values import StoredMessage
from offtui.store.database import inode_of, is_busy, is_damage, set_aside_opened
from offtui.text import clean_line

CHECKPOINT = 0.5
"""Seconds that a piece of an answer waits in memory, at most."""
FIRST_RETRY, LAST_RETRY = 0.5, 10.0
"""Seconds until what could not be written is tried again, at first and later on."""
LAST_PAUSE = 0.05
"""Seconds between two tries when it is closing, beside those that each of them waits."""
QUIET = 3.0
"""Seconds that another offtui may hold the file before it is said."""
ABANDONED = 10.0
"""Seconds after which a message that nobody writes on has been broken off."""
BIN_SECONDS = 86400.0
"""After which a deleted chat is purged by another run than the one that deleted it."""

T = TypeVar("T")
_Question = tuple[Callable[[Library], Any], Future[Any]]


@dataclasses.dataclass
class _Followed:
    message: StoredMessage
    answer: list[str]
    reasoning: list[str]
    due: float | None = None
    """When what has come shall be written, by ``time.monotonic``; ``None``: nothing has."""

    def snapshot(self) -> StoredMessage:
        answer, reasoning = "".join(self.answer), "".join(self.reasoning)
        self.answer[:], self.reasoning[:] = [answer], [reasoning]
        return msgspec.structs.replace(self.message, content=answer, reasoning=reasoning)


class Keeper:
    """Takes changes and questions from any thread, at once and in order; a thread of its own carries them out."""

    def __init__(
        self,
        say: Callable[[str], object],
        lost: Callable[[str], object] = lambda chat: None,
        *,
        file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start the thread, which opens the file.

        Args:
            say: called on that thread with a sentence about what is wrong, or right again.
            lost: called on that thread with a chat that a change was for and that is not in the file: whoever has it
                puts it there once more.
            file: of the chats; ``None``: in the data folder.
            clock: seconds since 1970.
        """
        self._say = say
        self._lost = lost
        self._file = file
        self._clock = clock
        self._wake = threading.Condition()
        self._inbox: deque[Change | _Question] = deque()
        self._followed: dict[int, _Followed] = {}
        self._closing = False
        self._until = 0.0
        """When it is no longer worth while to wait for the file, by ``time.monotonic``."""
        # Only the thread's own from here on
        self._opened: Opened | None = None
        self._pending: dict[object, Change] = {}
        self._over: sqlite3.Connection | None = None
        self._failing_since: float | None = None
        self._is_held = False
        self._retry_at = 0.0
        self._pause = FIRST_RETRY
        self._said = ""
        self._deleted: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="offtui-chats", daemon=True)
        self._thread.start()

    @property
    def unkept(self) -> int:
        """Changes that are in memory only."""
        with self._wake:
            return len(self._pending) + sum(isinstance(entry, Change) for entry in self._inbox)

    def put(self, *changes: Change) -> None:
        """Have these written, in one transaction."""
        with self._wake:
            self._inbox.extend(changes)
            self._wake.notify()

    def ask(self, read: Callable[[Library], T]) -> Future[T]:
        """Have ``read`` called on the thread, after all changes until now. What it raises goes to whoever asked."""
        future: Future[T] = Future()
        with self._wake:
            if self._closing:
                future.cancel()
            else:
                self._inbox.append((read, future))
                self._wake.notify()
        return future

    def follow(self, turn: int, message: StoredMessage) -> None:
        """What ``piece`` brings of the turn belongs to this message, after the text that it has."""
        with self._wake:
            self._followed[turn] = _Followed(message, [message.content], [message.reasoning])

    def unfollow(self, turn: int) -> None:
        """The message has come to its end; whoever says so puts it as a whole."""
        with self._wake:
            self._followed.pop(turn, None)

    def piece(self, turn: int, channel: Channel, text: str) -> None:
        """Some more text of a turn. Cheap."""
        with self._wake:
            followed = self._followed.get(turn)
            if followed is None:
                return
            (followed.answer if channel == "answer" else followed.reasoning).append(text)
            if followed.due is None:
                followed.due = time.monotonic() + CHECKPOINT
                self._wake.notify()

    def close(self, patience: float = 3.0) -> None:
        """Write what there is, and end. Messages that are followed are marked as broken off.

        A file that another program holds is tried again for ``patience`` seconds.
        """
        with self._wake:
            self._closing, self._until = True, time.monotonic() + patience
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(patience + PATIENCE)

    # The thread

    def _run(self) -> None:
        try:
            self._reopen()
            self._tidy()
            while self._step():
                pass
            self._pending.update({("purge", chat): Purge(chat) for chat in self._deleted})
            self._flush()
            while self._pending and self._is_held and time.monotonic() < self._until:
                time.sleep(LAST_PAUSE)
                self._flush()
        except Exception as error:  # noqa: BLE001 -- the thread's last: nobody above it would say that nothing is kept
            self._say(f"Saving the chats has ended, which is a mistake of offtui's: {clean_line(repr(error), 300)}.")
        finally:
            with self._wake:
                self._closing = True
                left = list(self._inbox)
                self._inbox.clear()
                self._inbox.extend(entry for entry in left if isinstance(entry, Change))
            for entry in left:
                if isinstance(entry, tuple):
                    entry[1].cancel()
            for connection in (self._opened.connection if self._opened else None, self._over):
                if connection is not None:
                    connection.close()

    def _step(self) -> bool:
        """Wait for something to do and do it; whether there will be more."""
        with self._wake:
            if not self._inbox and not self._closing:
                self._wake.wait(self._patience())
            closing, now = self._closing, time.monotonic()
            for followed in self._followed.values():
                if closing or (followed.due is not None and followed.due <= now):
                    followed.due = None
                    message = followed.snapshot()
                    state = ("stopped" if message.content else "failed") if closing else message.state
                    self._inbox.append(PutMessage(message.chat, msgspec.structs.replace(message, state=state)))
        for entry in iter(self._take, None):
            if isinstance(entry, Change):
                self._pend(entry)
            else:
                try:
                    self._write()
                except BaseException:  # whatever it was, whoever asked must not wait for ever
                    entry[1].cancel()
                    raise
                self._answer(*entry)
        self._write()
        return not closing

    def _take(self) -> "Change | _Question | None":
        with self._wake:
            return self._inbox.popleft() if self._inbox else None

    def _patience(self) -> float | None:
        """Seconds until there is something to do anyway; ``None``: there will not be."""
        times = [followed.due for followed in self._followed.values() if followed.due is not None]
        if self._pending:
            times.append(self._retry_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _pend(self, change: Change) -> None:
        key = change.key()
        self._pending.pop(key, None)
        self._pending[key] = change
        if isinstance(change, SetDeleted):
            (self._deleted.add if change.deleted else self._deleted.discard)(change.chat)
        if self._over is not None:
            self._apply_over(change)

    def _write(self) -> None:
        if self._pending and time.monotonic() >= self._retry_at:
            self._flush()

    def _flush(self) -> None:
        """Write all that is pending, or note that it cannot be."""
        try:
            if not self._is_same_file() or not self._is_writable():
                self._reopen()
            lost = self._transact()
        except sqlite3.Error as error:
            if is_damage(error) and self._begin_anew():
                return
            self._failed(error)
            return
        if self._failing_since is not None:
            self._failing_since, self._retry_at, self._pause = None, 0.0, FIRST_RETRY
            if self._said:
                self._said = ""
                self._say("The chats are kept again.")
        if self._over is not None:
            self._over.close()
            self._over = None
        for chat in lost:
            self._lost(chat)

    def _transact(self) -> set[str]:
        connection = self._connection()
        lost: set[str] = set()
        connection.execute("BEGIN IMMEDIATE")
        try:
            now = self._clock()
            for change in self._pending.values():
                try:
                    change.apply(connection, now)
                except ChatGone as gone:
                    lost.add(gone.chat)
            connection.execute("COMMIT")
        except BaseException:  # whatever it was, the transaction must not stay open
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        self._pending.clear()
        return lost

    def _failed(self, error: sqlite3.Error) -> None:
        """Keep it in memory, and try again later."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        self._retry_at = now + self._pause
        self._pause = min(2 * self._pause, LAST_RETRY)
        if self._over is None:
            self._over = open_in_memory()
            for change in self._pending.values():
                self._apply_over(change)
        busy = self._is_held = is_busy(error) or (self._opened is not None and self._opened.busy)
        why = "another program holds the file" if busy else reason(error)
        if why != self._said and (not busy or now - self._failing_since >= QUIET):
            self._said = why
            self._say(f"Chats cannot be saved now ({why}). They are kept in memory and saving is tried again.")

    def _apply_over(self, change: Change) -> None:
        over = self._over
        if over is None:
            return
        with contextlib.suppress(sqlite3.Error, ChatGone):  # memory: what fails here fails on the disk as well
            if change.chat != NEW_CHAT and Shelf(over).row(change.chat) is None:
                under = self._under()
                whole = under.chat(change.chat) if under is not None else None
                if whole is not None:
                    PutChat(change.chat, whole).apply(over, self._clock())
            change.apply(over, self._clock())

    def _answer(self, read: Callable[[Library], T], future: "Future[T]") -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            try:
                answer = read(self._library())
            except sqlite3.Error as error:
                if not (is_damage(error) and self._begin_anew()):
                    raise
                answer = read(self._library())
        except Exception as error:  # noqa: BLE001 -- whoever asked is told: no question may end the saving
            future.set_exception(error)
        else:
            future.set_result(answer)

    def _library(self) -> Library:
        return Library(self._under(), Shelf(self._over) if self._over is not None else None)

    def _under(self) -> Shelf | None:
        connection = self._opened.connection if self._opened is not None else None
        return Shelf(connection) if connection is not None else None

    # The file

    def _connection(self) -> sqlite3.Connection:
        opened = self._opened
        if opened is None or opened.connection is None or not opened.writable:
            raise sqlite3.OperationalError("the file cannot be written")
        return opened.connection

    def _is_writable(self) -> bool:
        return self._opened is not None and self._opened.connection is not None and self._opened.writable

    def _is_same_file(self) -> bool:
        """Whether what was opened is still what stands at its path: it may have been set aside, or removed."""
        opened = self._opened
        return opened is not None and (not opened.writable or opened.inode == inode_of(opened.file))

    def _reopen(self) -> None:
        before = self._opened
        if before is not None and before.connection is not None:
            before.connection.close()
        self._opened = open_chats(self._file)
        if self._opened.notice and (before is None or before.notice != self._opened.notice):
            self._say(self._opened.notice)

    def _begin_anew(self) -> bool:
        """Set the damaged file aside; whether there is a new one now."""
        opened = self._opened
        if opened is None or opened.connection is None or not opened.writable:
            return False
        opened.connection.close()
        self._opened = None
        aside = set_aside_opened(opened.file, opened.inode)
        if aside is not None:  # else another offtui was first, or it is gone: opening says what is left of it
            self._say(f"The file of the chats was damaged and is kept as {aside.name}; a new one is begun.")
        self._reopen()
        try:
            for chat in self._transact():
                self._lost(chat)
        except sqlite3.Error as error:
            self._failed(error)
        return True

    def _tidy(self) -> None:
        """What a run before left behind: answers that nobody writes any more, chats deleted long ago."""
        if not self._is_writable():
            return
        connection, now = self._connection(), self._clock()
        with contextlib.suppress(sqlite3.Error):  # the next change will meet it, and say so
            connection.execute(
                "UPDATE messages SET state = CASE content WHEN '' THEN 'failed' ELSE 'stopped' END "
                "WHERE state = 'open' AND updated < ?",
                (now - ABANDONED,),
            )
            old = connection.execute("SELECT id FROM chats WHERE deleted < ?", (now - BIN_SECONDS,)).fetchall()
            for (chat,) in old:
                self._pend(Purge(chat))
            self._write()
