"""Frames from a worker to the parent. Times are ``time.monotonic()``, one clock for all processes of a machine."""

from typing import Literal

import msgspec

from offtui.protocol.carry import Layout, Manifest
from offtui.protocol.facts import DeviceFacts, DeviceLedger, Failure, HeaderFacts, LayerCount, ModelFacts, Timings
from offtui.protocol.spec import LoadSpec, Sampling

LoadStep = Literal["devices", "header", "plan", "weights", "context", "warmup"]
Channel = Literal["answer", "reasoning"]
Stop = Literal["end", "stop_string", "max_tokens", "context_full", "cancelled"]


class _Event(msgspec.Struct, frozen=True, tag_field="event"):
    pass


class Hello(_Event, frozen=True, tag="hello"):
    """The handshake: imports are done, requests are read."""

    pid: int
    llama_cpp: str
    """Version of llama-cpp-python."""
    backends: tuple[str, ...]
    """Of the installed llama.cpp: ``("CPU", "RPC")``, ``("CUDA", "CPU")``."""


class LoadProgress(_Event, frozen=True, tag="load_progress"):
    """How far the load is. ``fraction`` is 0…1 of the step ``weights``, else 0."""

    step: LoadStep
    fraction: float


class Loaded(_Event, frozen=True, tag="loaded"):
    """The model is ready and warmed up; this is the truth about what lies where."""

    model: ModelFacts
    spec: LoadSpec
    """As loaded: every ``None`` of the wanted spec has its value."""
    layers: LayerCount
    devices: tuple[DeviceLedger, ...]
    """What the load put where; the CPU is one of them."""
    memory: tuple[DeviceFacts, ...]
    """All devices with their free and total memory after the load."""
    n_ctx: int
    flash_attn: bool
    sampling: Sampling
    """The file's own defaults over llama.cpp's."""
    notices: tuple[str, ...]
    """What a person should know: no GPU device, no chat template, a clamped context."""
    load_seconds: float
    layout: Layout | None = None
    """Of its KV cache: what another worker must have in common to take it over."""
    ladder: tuple[int, ...] = ()
    """Bytes that each ``n_gpu_layers`` from 0 to the most would take on all devices together, by the plan."""
    ram_ladder: tuple[int, ...] = ()
    """Likewise in RAM, mapped weights apart."""
    can_think: bool = False
    """Its chat template knows ``enable_thinking``."""
    overhead: dict[str, int] = {}
    """Bytes that the load took of each device beyond its buffers, by name: what was free before less what is free
    after less the ledger. Where another process took or gave back memory meanwhile, that is in it."""


class LoadFailed(_Event, frozen=True, tag="load_failed"):
    """Nothing is loaded; the worker exits."""

    failure: Failure


class TurnStarted(_Event, frozen=True, tag="turn_started"):
    """The prompt is rendered and tokenized; prompt eval begins."""

    turn: int
    prompt_tokens: int
    reused_tokens: int
    dropped: int = 0
    """The oldest messages that were left out because the context has no room for them."""
    state: bytes = b""
    """For ``Resume`` in another worker; nobody but workers reads it."""


class PromptProgress(_Event, frozen=True, tag="prompt_progress"):
    """Prompt tokens in the KV cache, reused ones among them."""

    turn: int
    done: int
    total: int


class Piece(_Event, frozen=True, tag="piece"):
    """Some text of the answer, cleaned; whole characters."""

    turn: int
    channel: Channel
    text: str
    tokens: int
    """Tokens of the answer until now, reasoning and invisible ones too."""
    n_past: int
    time: float
    """When the last of them was sampled."""
    ids: bytes = b""
    """The tokens that are new since the piece before, packed."""


class TurnPaused(_Event, frozen=True, tag="turn_paused"):
    """The turn is halted; all that was said of it has been sent."""

    turn: int
    state: bytes
    """For ``Resume``; nobody but workers reads it."""
    n_past: int
    """Tokens of it in the KV cache now."""


class TurnResumed(_Event, frozen=True, tag="turn_resumed"):
    """Another worker, or the same one again, goes on with the turn."""

    turn: int
    total_tokens: int
    """Of the conversation and the answer until now."""
    kept_tokens: int
    """Of them in the KV cache already; the others are evaluated now."""


class Reserved(_Event, frozen=True, tag="reserved"):
    """The memory is ready, or cannot be made so beforehand."""

    size: int
    """Bytes that are."""


class StateSaved(_Event, frozen=True, tag="state_saved"):
    """The KV cache is written, or ``why`` it cannot be."""

    manifest: Manifest | None
    seconds: float
    why: str = ""


class StateRestored(_Event, frozen=True, tag="state_restored"):
    """The KV cache is taken over; where ``why`` says that it could not be, tokens are evaluated again as needed."""

    tokens: int
    size: int
    """Bytes."""
    seconds: float
    why: str = ""


class Checkpointed(_Event, frozen=True, tag="checkpointed"):
    """A copy of the KV cache is whole."""

    slot: int
    """0 or 1: which of the two ``KeepCheckpoint`` of this worker."""
    manifest: Manifest
    seconds: float


class TurnEnded(_Event, frozen=True, tag="turn_ended"):
    """The answer is complete, or was stopped; what came is kept in either case."""

    turn: int
    stop: Stop
    timings: Timings


class TurnFailed(_Event, frozen=True, tag="turn_failed"):
    """The turn could not be answered; the model is still loaded."""

    turn: int
    failure: Failure


class DeviceMemory(_Event, frozen=True, tag="device_memory"):
    """Free and total memory of the devices, as their backends say; told when it has changed, else now and then."""

    devices: tuple[DeviceFacts, ...]
    time: float


class Tokenized(_Event, frozen=True, tag="tokenized"):
    """Answer to ``Tokenize``."""

    number: int
    tokens: int


class HeaderRead(_Event, frozen=True, tag="header_read"):
    """Answer to ``ReadHeader``."""

    path: str
    header: HeaderFacts | None
    failure: Failure | None = None


Event = (
    Hello
    | LoadProgress
    | Loaded
    | LoadFailed
    | TurnStarted
    | PromptProgress
    | Piece
    | TurnPaused
    | TurnResumed
    | TurnEnded
    | TurnFailed
    | Reserved
    | StateSaved
    | StateRestored
    | Checkpointed
    | DeviceMemory
    | Tokenized
    | HeaderRead
)
