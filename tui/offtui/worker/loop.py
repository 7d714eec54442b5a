"""The worker process: a control thread that reads requests, and the main thread that carries them out."""

import collections
import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple, assert_never

from offtui.errors import ProtocolError
from offtui.gguf.header import Header
from offtui.protocol.carry import Manifest
from offtui.protocol.codec import encode, request_reader
from offtui.protocol.events import (
    DeviceMemory,
    Event,
    HeaderRead,
    Hello,
    LoadFailed,
    Reserved,
    StateRestored,
    StateSaved,
    Tokenized,
    TurnFailed,
)
from offtui.protocol.facts import DeviceFacts, Failure, HeaderFacts
from offtui.protocol.requests import (
    Cancel,
    CancelLoad,
    Generate,
    KeepCheckpoint,
    Load,
    Pause,
    Quit,
    ReadHeader,
    Request,
    Reserve,
    RestoreState,
    Resume,
    SaveState,
    Tokenize,
)
from offtui.text import clean_line
from offtui.worker import carry, llama
from offtui.worker.checkpoints import Checkpoints
from offtui.worker.failures import WorkerError
from offtui.worker.header import UnreadableModel, read_header
from offtui.worker.loader import Flags, LoadedModel, Loader
from offtui.worker.logring import LogRing
from offtui.worker.memory_news import STALE, is_news
from offtui.worker.sequence import Sequence
from offtui.worker.shared import Prepared
from offtui.worker.turn import Turn

MEMORY_SECONDS: Final = 1.0
"""How often the devices' memory is looked at; twice as often while answering."""


class _Arrived(NamedTuple):
    request: Request
    time: float
    descriptor: int = -1
    """The file descriptor that came along."""


class Worker:
    """One life: at most one load, then turns until the parent has enough or is gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._requests: queue.SimpleQueue[_Arrived] = queue.SimpleQueue()
        self._flags = Flags()
        self._cancelled_turns: set[int] = set()
        self._paused_turns: set[int] = set()
        self._log = LogRing()
        self._model: LoadedModel | None = None
        self._sequence: Sequence | None = None
        self._memory_asked = self._memory_told = 0.0
        self._memory: tuple[DeviceFacts, ...] = ()
        """As it was told last."""
        self._checkpoints = Checkpoints(self._send)
        self._prepared = Prepared()

    def run(self) -> int:
        """Serve the parent until it says Quit; the exit code."""
        self._log.install()
        llama.api.llama_backend_init()
        threading.Thread(target=self._read_requests, name="control", daemon=True).start()
        self._send(Hello(os.getpid(), llama.VERSION, llama.backends()))
        while True:
            try:
                arrived = self._requests.get(timeout=MEMORY_SECONDS)
            except queue.Empty:
                self._report_memory(MEMORY_SECONDS)
                continue
            match arrived.request:
                case Load():
                    if not self._load(Loader(arrived.request, self._log, self._flags, self._send).run):
                        return 0
                case Generate() | Resume():
                    self._answer(arrived.request, arrived.time)
                case SaveState():
                    self._save(arrived.descriptor)
                case RestoreState(manifest):
                    self._restore(manifest, arrived.descriptor)
                case ReadHeader(path):
                    self._send(_header_read(path))
                case Quit():
                    return 0
                case Cancel() | CancelLoad() | Pause() | Tokenize() | KeepCheckpoint() | Reserve():
                    pass  # the control thread has done it
                case _:
                    assert_never(arrived.request)

    def _load(self, load: Callable[[], LoadedModel]) -> bool:
        try:
            self._model = load()
        except WorkerError as error:
            self._send(LoadFailed(error.failure))
            return False
        self._sequence = Sequence(self._model, self._flags)
        self._send(self._model.loaded)
        return True

    def _answer(self, request: Generate | Resume, arrived: float) -> None:
        if self._sequence is None:
            self._send(TurnFailed(request.turn, Failure("internal", "No model is loaded.")))
            return

        def cancelled() -> bool:
            return request.turn in self._cancelled_turns

        def paused() -> bool:
            return request.turn in self._paused_turns

        sequence = self._sequence
        self._checkpoints.begin()

        def tick() -> None:
            self._report_memory(MEMORY_SECONDS / 2)
            self._checkpoints.look(sequence)

        turn = Turn(self._sequence, request.turn, arrived, self._send, cancelled, paused, tick)
        try:
            if isinstance(request, Generate):
                turn.begin(request)
            else:
                turn.resume(request)
        except WorkerError as error:
            self._send(TurnFailed(request.turn, error.failure))

    def _save(self, descriptor: int) -> None:
        with contextlib.closing(self._prepared.take(descriptor)) as memory:
            if self._sequence is None:
                self._send(StateSaved(None, 0.0, "No model is loaded."))
            else:
                self._send(carry.save(self._sequence, memory))

    def _restore(self, manifest: Manifest, descriptor: int) -> None:
        with contextlib.closing(self._prepared.take(descriptor)) as memory:
            if self._sequence is None:
                self._send(StateRestored(0, 0, 0.0, "No model is loaded."))
            else:
                self._send(carry.restore(self._sequence, manifest, memory))

    def _report_memory(self, every: float) -> None:
        now = time.monotonic()
        if self._model is not None and now - self._memory_asked >= every:
            self._memory_asked = now
            memory = llama.all_device_facts()
            if now - self._memory_told >= STALE or is_news(self._memory, memory):
                self._memory, self._memory_told = memory, now
                self._send(DeviceMemory(memory, now))

    def _send(self, event: Event) -> None:
        frame = encode(event)
        try:
            with self._sending:
                self._connection.sendall(frame)
        except OSError:
            os._exit(0)  # the parent is gone: nobody is left to tell

    def _read_requests(self) -> None:
        """The control thread: cancels at once, queues the rest, and ends the process when the parent is gone."""
        reader = request_reader()
        descriptors: collections.deque[int] = collections.deque()
        while True:
            try:
                data, received, _, _ = socket.recv_fds(self._connection, 65536, 8)
                descriptors.extend(received)
            except OSError:
                data = b""
            if not data:
                os._exit(0)
            try:
                for request in reader.feed(data):
                    self._control(request, descriptors)
            except ProtocolError as error:
                print(f"offtui worker: {error}", flush=True)
                os._exit(70)

    def _control(self, request: Request, descriptors: collections.deque[int]) -> None:
        match request:
            case SaveState() | RestoreState() | KeepCheckpoint() | Reserve():
                if not descriptors:
                    raise ProtocolError("A file descriptor is missing.")
                descriptor = descriptors.popleft()
                if isinstance(request, KeepCheckpoint):
                    self._checkpoints.keep(descriptor, request.most)
                elif isinstance(request, Reserve):
                    self._prepared.prepare(
                        descriptor, request.size, lambda ready: self._send(Reserved(ready)), to_write=request.to_write
                    )
                else:
                    self._requests.put(_Arrived(request, time.monotonic(), descriptor))
            case Pause(turn):
                self._paused_turns.add(turn)
                if self._flags.evaluating:
                    self._flags.raise_abort()
            case Resume(turn):
                self._paused_turns.discard(turn)
                self._requests.put(_Arrived(request, time.monotonic()))
            case Cancel(turn):
                self._cancelled_turns.add(turn)
                self._flags.raise_abort()
            case Tokenize(number, text):
                if self._model is not None:
                    self._send(Tokenized(number, len(self._model.vocab.tokenize_on(text))))
            case CancelLoad():
                self._flags.load_cancelled = True
                self._flags.raise_abort()
            case _:
                self._requests.put(_Arrived(request, time.monotonic()))


def _header_read(path: str) -> HeaderRead:
    try:
        return HeaderRead(path, _facts(read_header(path)))
    except UnreadableModel as error:
        return HeaderRead(path, None, error.failure)


def _facts(header: Header) -> HeaderFacts:
    return HeaderFacts(
        path=header.path,
        kind=header.kind,
        name=clean_line(header.name, 200),
        arch=clean_line(header.arch, 60),
        quant=clean_line(header.quant, 60),
        n_layer=header.n_layer,
        n_ctx_train=header.n_ctx_train,
        n_params=header.n_params,
        file_bytes=header.file_bytes,
    )
