"""A worker without llama.cpp that speaks the real protocol, and misbehaves on order.

Run as a script: ``worker.py [--do POINT:ACTION]... [--deaf] [--stubborn] [--pieces N] [--pause SECONDS] --fd N``.

POINT is when: ``start`` (before Hello), ``header`` (a ReadHeader has arrived), ``load`` (a Load has), ``progress``,
``loaded`` (just before Loaded), ``ready`` (just after), ``turn`` (a Generate has arrived), ``started``, ``piece``
(after the first one), ``cancel``, ``pause``, ``save``, ``restore``, ``resume``, ``copy`` (of the cache, while it
answers), ``reserve`` (never answered where ``silent``), ``quit``.
ACTION is what, see ``act``. A model named ``POINT:ACTION`` orders the same for one load; ``--do-layers
LAYERS:POINT:ACTION`` for loads of so many layers.
"""

import argparse
import os
import signal
import socket
import sys
import time
from pathlib import Path

import msgspec

from offtui.protocol.carry import Layout, Manifest, pack_tokens, refusal
from offtui.protocol.codec import encode, request_reader
from offtui.protocol.events import (
    Checkpointed,
    DeviceMemory,
    Event,
    HeaderRead,
    Hello,
    Loaded,
    LoadFailed,
    LoadProgress,
    Piece,
    PromptProgress,
    Reserved,
    StateRestored,
    StateSaved,
    Tokenized,
    TurnEnded,
    TurnFailed,
    TurnPaused,
    TurnResumed,
    TurnStarted,
)
from offtui.protocol.facts import DeviceFacts, DeviceLedger, Failure, HeaderFacts, LayerCount, ModelFacts, Timings
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
from offtui.protocol.spec import LoadSpec, Sampling

MIB = 1024**2
N_LAYER = 12
CUDA = [0]
"""Graphics cards that it says it has."""
DIRTY = "dirty\x1b]52;c;QQ==\x07\u202e"
"""What a hostile file could make a careless worker repeat."""

MARKDOWN = """Offloading moves layers of a model to the GPU. The rest stays in RAM; **each token** passes both parts.

## Choosing

1. Look at the `ledger` first: weights, cache, compute.
2. Add layers until the budget is used; a [guide](http://example.org/guide) helps.

```python
def layers(budget: int, layer: int) -> int:
    return budget // layer  # rounded down
```

| layers | VRAM | tokens/s |
|---:|---:|---:|
| 0 | 0.4 GiB | 3.2 |
| 28 | 6.1 GiB | 14.9 |

> What does not fit is computed by the processor, which reads its weights from memory for each token anew.

"""
OOM_LOG = """\
ggml_backend_cuda_buffer_type_alloc_buffer: allocating 5121.50 MiB on device 0: cudaMalloc failed: out of memory
alloc_tensor_range: failed to allocate CUDA0 buffer of size 5370281984
llama_model_load: error loading model: unable to allocate CUDA0 buffer
llama_model_load_from_file_impl: failed to load model
"""

SIGNALS = {
    "kill": signal.SIGKILL,
    "abort": signal.SIGABRT,
    "segv": signal.SIGSEGV,
    "term": signal.SIGTERM,
    "freeze": signal.SIGSTOP,
}

HEADER_KINDS = ("embedding", "mmproj", "lora", "vocabulary", "unsupported")
HEADER_FAILURES = ("not_found", "not_gguf", "truncated", "permission")


class Worker:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.orders: dict[str, str] = dict(order.split(":", 1) for order in options.do)
        self.socket = socket.socket(fileno=options.fd)
        self.reader = request_reader()
        self.requests: list[Request] = []
        self.descriptors: list[int] = []
        self.copies: list[int] = []
        self.copied = 0
        self.n_past = 0
        self.spec: LoadSpec | None = None

    def send(self, event: Event) -> None:
        self.socket.sendall(encode(event))

    def read(self, timeout: float | None) -> None:
        """Take in what has arrived; ends with the parent."""
        self.socket.settimeout(timeout)
        try:
            data, descriptors, _, _ = socket.recv_fds(self.socket, 65536, 8)
            self.descriptors += descriptors
        except (TimeoutError, BlockingIOError):
            return
        finally:
            self.socket.settimeout(None)
        if not data:
            sys.exit(0)
        for request in self.reader.feed(data):
            if isinstance(request, Quit):
                self.act("quit")
                if not self.options.deaf:
                    sys.exit(0)
            if isinstance(request, KeepCheckpoint):
                self.copies.append(self.descriptors.pop(0))
                continue
            if isinstance(request, Reserve):
                os.close(self.descriptors.pop(0))
                if self.orders.get("reserve") != "silent":
                    self.act("reserve")
                    self.send(Reserved(request.size))
                continue
            self.requests.append(request)

    def request(self) -> Request:
        while not self.requests:
            self.read(None)
        return self.requests.pop(0)

    def asked_to_stop(self, kind: type[Request]) -> bool:
        self.read(0.0)
        for request in self.requests:
            if isinstance(request, kind):
                self.requests.remove(request)
                self.act("cancel")
                return True
        return False

    def act(self, point: str) -> None:
        action = self.orders.get(point, "")
        match action:
            case "":
                pass
            case "stall":
                while True:
                    time.sleep(60)
            case "slow":
                time.sleep(0.5)
            case "garble":
                self.socket.sendall(b"\xff\xff\xff\xffgarbage")
            case "nonsense":
                self.socket.sendall(b"\x00\x00\x00\x05\xa5hello")
            case "half":
                self.socket.sendall(encode(LoadProgress("weights", 0.5))[:-3])
                sys.exit(0)
            case "exit":
                sys.exit(3)
            case "hang-up":
                self.socket.close()
                while True:
                    time.sleep(60)
            case "raise":
                raise RuntimeError("the ledger does not add up")
            case "no-llama":
                raise ModuleNotFoundError("No module named 'llama_cpp'")
            case "oom":
                print(OOM_LOG, end="", file=sys.stderr)
                sys.exit(1)
            case "oom-decode":
                print("CUDA error: out of memory", file=sys.stderr)
                print("  current device: 0, in function alloc at ggml-cuda.cu:551", file=sys.stderr)
                print("/build/ggml/src/ggml-cuda/ggml-cuda.cu:109: CUDA error", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGABRT)
            case "rpc-gone":
                print(
                    "/build/ggml-rpc.cpp:782: Remote RPC server crashed or returned malformed response",
                    file=sys.stderr,
                    flush=True,
                )
                os.kill(os.getpid(), signal.SIGABRT)
            case "flood":
                for _ in range(20_000):
                    self.send(DeviceMemory((), time.monotonic()))
            case "print":
                print("x" * 99, *["y" * 99] * 40_000, sep="\n", file=sys.stderr, flush=True)
            case action if action in SIGNALS:
                os.kill(os.getpid(), SIGNALS[action])
            case kind:
                self.send(LoadFailed(Failure(kind, f"It failed: {kind} {DIRTY}.")))  # type: ignore[arg-type]
                sys.exit(0)

    def run(self) -> None:
        self.act("start")
        self.send(Hello(os.getpid(), "0.0-fake", ("CPU", "RPC")))
        while True:
            match self.request():
                case Load(spec=spec):
                    self.load(spec)
                case Generate() as turn:
                    self.answer(turn)
                case Resume(turn, state, after):
                    done, count, question = msgspec.msgpack.decode(state)
                    self.resume(turn, done + len(after) // 4, count, question)
                case SaveState():
                    self.save(self.descriptors.pop(0))
                case RestoreState(manifest):
                    self.restore(manifest, self.descriptors.pop(0))
                case ReadHeader(path):
                    self.header(path)
                case Tokenize(number, text):
                    self.send(Tokenized(number, len(text.split())))
                case _:
                    pass

    def header(self, path: str) -> None:
        self.obey(path)
        action = self.orders.get("header", "")
        if action in HEADER_KINDS:
            self.send(HeaderRead(path, HeaderFacts(path, action, DIRTY, "llama", "Q8_0", 12, 4096, 4, 5 * MIB)))
        elif action in HEADER_FAILURES:
            self.send(HeaderRead(path, None, Failure(action, f"It cannot be read: {action} {DIRTY}.")))
        else:
            self.act("header")
            self.send(HeaderRead(path, HeaderFacts(path, "model", DIRTY, "llama", "Q8_0", 12, 4096, 4, 5 * MIB)))

    def obey(self, model: str) -> None:
        name = Path(model).name
        if ":" in name:
            point, action = name.split(":", 1)
            self.orders[point] = action

    def load(self, spec: LoadSpec) -> None:
        self.obey(spec.model)
        self.spec = spec
        for order in self.options.do_layers:
            layers, point, action = order.split(":", 2)
            if spec.n_gpu_layers == int(layers):
                self.orders[point] = action
        self.act("load")
        for i in range(5):
            if self.asked_to_stop(CancelLoad):
                self.send(LoadFailed(Failure("cancelled", "The load was cancelled.")))
                sys.exit(0)
            self.send(LoadProgress("weights", i / 4))
            self.act("progress")
            time.sleep(self.options.pause)
        self.act("loaded")
        self.send(loaded(spec))
        self.act("ready")

    def answer(self, turn: Generate) -> None:
        self.act("turn")
        if turn.messages[-1].content == "too long":
            self.send(TurnFailed(turn.turn, Failure("prompt_too_long", "The prompt has 9000 tokens.")))
            return
        count = turn.sampling.max_tokens or self.options.pieces
        begun = turn.messages[-1].content.count("word") if turn.go_on else 0
        state = msgspec.msgpack.encode((begun, count, turn.messages[-1].content))
        self.send(TurnStarted(turn.turn, 20, 5, state=state))
        self.act("started")
        self.send(PromptProgress(turn.turn, 20, 20))
        self.go_on(turn.turn, begun, count, turn.messages[-1].content)

    def resume(self, turn: int, done: int, count: int, question: str) -> None:
        self.act("resume")
        self.send(TurnResumed(turn, 20 + done, self.n_past))
        self.go_on(turn, done, count, question)

    def go_on(self, turn: int, done: int, count: int, question: str) -> None:
        held, ids, sent = "", list[int](), 0.0
        for i in range(done, count):
            self.n_past = 20 + i
            if self.asked_to_stop(Cancel):
                self.send(TurnEnded(turn, "cancelled", timings(i)))
                return
            if self.asked_to_stop(Pause):
                self.act("pause")
                self.send(TurnPaused(turn, msgspec.msgpack.encode((i, count, question)), self.n_past))
                return
            channel = "reasoning" if i == 0 and question == "think" else "answer"
            text = f"word{i}{DIRTY} " if question == "dirty" else f"word{i} "
            if question.startswith("turn"):  # so that answers can be told from one another
                text = f"{question}.{i} "
            if self.options.markdown:
                text = MARKDOWN[4 * i % len(MARKDOWN) : 4 * i % len(MARKDOWN) + 4]
            held, now = held + text, time.monotonic()
            ids.append(i)
            if now - sent >= self.options.batch or i + 1 == count:
                self.send(Piece(turn, channel, held, i + 1, 21 + i, now, pack_tokens(ids)))
                held, sent = "", now
                ids.clear()
            if len(self.copies) == 2 and i % 10 == 9:
                self.copy()
            if self.options.log is not None:
                with self.options.log.open("a") as log:
                    log.write(f"{time.time()}\n")
            if i == done:
                self.act("piece")
            time.sleep(self.options.pause)
        self.n_past = 20 + count
        self.send(TurnEnded(turn, "end", timings(count)))

    def save(self, descriptor: int) -> None:
        self.act("save")
        manifest = self.write(descriptor)
        os.close(descriptor)
        self.send(StateSaved(manifest, 0.001))

    def copy(self) -> None:
        slot, self.copied = self.copied % 2, self.copied + 1
        manifest = self.write(self.copies[slot])
        self.act("copy")
        if self.copied == self.options.die_in_copy and self.n_past < 60:
            os.kill(os.getpid(), signal.SIGKILL)
        self.send(Checkpointed(slot, manifest, 0.001))

    def write(self, descriptor: int) -> Manifest:
        assert self.spec is not None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"kv" * self.n_past, 0)
        return Manifest(
            layout=layout(self.spec), n_ctx=4096, size=2 * self.n_past, tokens=pack_tokens(range(self.n_past))
        )

    def restore(self, manifest: Manifest, descriptor: int) -> None:
        self.act("restore")
        assert self.spec is not None
        whole = os.pread(descriptor, manifest.size, 0) == b"kv" * manifest.n_tokens
        os.close(descriptor)
        why = refusal(manifest, layout(self.spec), self.spec.n_ctx or 4096) or ("" if whole else "It is not whole.")
        self.n_past = 0 if why else manifest.n_tokens
        self.send(StateRestored(self.n_past, manifest.size, 0.001, why))


def layout(spec: LoadSpec) -> Layout:
    return Layout(
        path=spec.model,
        file_bytes=5 * MIB,
        mtime_ns=0,
        llama_cpp="0.0-fake",
        type_k=spec.type_k,
        type_v=spec.type_v,
        flash_attn=True,
        swa_full=False,
    )


def loaded(spec: LoadSpec) -> Loaded:
    asked = N_LAYER + 1 if spec.n_gpu_layers is None else spec.n_gpu_layers
    model = ModelFacts(spec.model, f"fake {DIRTY}", "llama", "Q8_0", N_LAYER, 4096, 4_000_000, 5 * MIB, 4000, 160, True)
    gpus = CUDA[0]
    cards = [DeviceLedger("RPC0", "rpc", asked * MIB, MIB, MIB, asked)]
    if gpus:  # as large as a card is, so that bars have something to show
        share = [asked // gpus + (1 if index < asked % gpus else 0) for index in range(gpus)]
        cards = [
            DeviceLedger(
                f"CUDA{index}", "gpu", layers * 150 * MIB, layers * 40 * MIB, 300 * MIB if layers else 0, layers
            )
            for index, layers in enumerate(share)
        ]
    devices = (DeviceLedger("CPU", "cpu", 4 * MIB, MIB, MIB, N_LAYER + 1 - asked), *cards)
    memory = (
        DeviceFacts("CPU", "cpu", f"a processor{DIRTY}", 8 * 1024 * MIB, 16 * 1024 * MIB),
        DeviceFacts("RPC0", "rpc", "127.0.0.1:50052", None, None),
    )
    if gpus:
        memory = (
            memory[0],
            *(
                DeviceFacts(f"CUDA{index}", "gpu", f"NVIDIA Fake {index}", 5 * 1024 * MIB, 8 * 1024 * MIB,
                            pci=f"0000:{0x1A + index:02x}:00.0")
                for index in range(gpus)
            ),
        )  # fmt: skip
    return Loaded(
        model=model,
        spec=LoadSpec(model=spec.model, n_gpu_layers=asked, n_ctx=spec.n_ctx or 4096, rpc=spec.rpc),
        layers=LayerCount(asked, asked, N_LAYER + 1),
        devices=devices,
        memory=memory,
        n_ctx=spec.n_ctx or 4096,
        flash_attn=True,
        sampling=Sampling(temperature=0.8),
        notices=(f"a notice{DIRTY}",),
        load_seconds=0.25,
        layout=layout(spec),
        ladder=tuple(MIB * layers for layers in range(N_LAYER + 2)),
        ram_ladder=(MIB,) * (N_LAYER + 2),
    )


def timings(tokens: int) -> Timings:
    return Timings(
        prompt_tokens=20,
        reused_tokens=5,
        prompt_seconds=0.5,
        ttft_seconds=0.6,
        tokens=tokens,
        eval_seconds=2.0,
        n_past=20 + tokens,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--do", action="append", default=[], metavar="POINT:ACTION")
    parser.add_argument("--deaf", action="store_true", help="ignore Quit")
    parser.add_argument("--stubborn", action="store_true", help="ignore SIGTERM")
    parser.add_argument("--pieces", type=int, default=5)
    parser.add_argument("--markdown", action="store_true", help="say Markdown of all kinds, four characters at a time")
    parser.add_argument(
        "--batch", type=float, default=0.0, help="seconds between two pieces at least, as llama.cpp's worker"
    )
    parser.add_argument("--log", type=Path, help="when each piece was sent is written there")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds per step")
    parser.add_argument("--die-in-copy", type=int, metavar="N", help="in the Nth copy of a first answer's cache")
    parser.add_argument("--do-layers", action="append", default=[], metavar="LAYERS:POINT:ACTION")
    parser.add_argument("--cuda", type=int, default=0, metavar="N", help="graphics cards, as the fake driver has them")
    options = parser.parse_args()
    CUDA[0] = options.cuda
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Worker(options).run()


if __name__ == "__main__":
    main()
