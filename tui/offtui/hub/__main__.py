"""The hub's process: reads requests from stdin, one per line, answers on stdout, and dies when stdin closes."""

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from offtui.hub.wire import (
    Answer,
    Drop,
    Failed,
    Fetch,
    GetHeaders,
    GetInfo,
    GetReadme,
    HubFailure,
    Request,
    Search,
    Stop,
)

THREADS = 8


class Process:
    """One life of it."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._stops: dict[int, Stops] = {}
        self._pool = ThreadPoolExecutor(THREADS)

    def run(self) -> None:
        """Serve until stdin closes."""
        decode = msgspec.json.Decoder(Request).decode
        for line in sys.stdin.buffer:
            try:
                ask = decode(line)
            except msgspec.MsgspecError:
                continue
            if isinstance(ask, Stop):
                if (stops := self._stops.get(ask.id)) is not None:
                    stops.stop(keep=ask.keep)
                continue
            self._stops[ask.id] = Stops()
            self._pool.submit(self._serve, ask)

    def say(self, answer: Answer) -> None:
        """Write a line."""
        line = msgspec.json.encode(answer) + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._out, line) :]

    def _serve(self, ask: Search | GetInfo | GetReadme | GetHeaders | Fetch) -> None:
        from offtui.hub.web import HubError

        try:
            self.say(self._answer(ask))
        except HubError as error:
            self.say(Failed(id=ask.id, failure=error.failure))
        except BrokenPipeError:  # nobody listens any more
            os._exit(0)
        except Exception as error:  # noqa: BLE001 -- whatever it was, somebody waits for the end of the request
            # no text of the exception: it may hold an address with a signature
            failure = HubFailure("internal", f"Something went wrong in the hub's process: {type(error).__name__}.")
            with contextlib.suppress(OSError):
                traceback.print_exc()
            self.say(Failed(id=ask.id, failure=failure))
        finally:
            self._stops.pop(ask.id, None)

    def _answer(self, ask: Search | GetInfo | GetReadme | GetHeaders | Fetch) -> Answer:
        from offtui.hub import api, fetch, remote

        match ask:
            case Search():
                return api.search(ask, self.say, self._stops[ask.id].asked)
            case GetInfo():
                return api.info(ask)
            case GetReadme():
                return api.readme(ask)
            case GetHeaders():
                return remote.headers(ask)
            case Drop():
                return fetch.drop(ask)
            case Fetch():
                return fetch.fetch(ask, self.say, self._stops[ask.id])


class Stops:
    """Whether a request shall stop, and what becomes of its parts."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.keep = True
        self.cut: Callable[[], None] = lambda: None

    def stop(self, *, keep: bool) -> None:
        """Ask for it."""
        self.keep = keep
        self.asked.set()
        self.cut()


def main() -> None:
    """Serve on the original stdout; what a library prints goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = os.dup(1)
    os.dup2(2, 1)
    Process(out).run()
    os._exit(0)


if __name__ == "__main__":
    main()
