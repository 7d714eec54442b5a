"""What is remembered of each model from one run to the next: the settings that worked last, and how long loads took.

One small JSON file among the app's state; deleting it forgets everything. Where it cannot be read or written, nothing
is remembered, and nothing fails.
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from offtui import paths
from offtui.protocol.spec import LoadSpec
from offtui.store import private

MOST_MODELS = 200
"""Kept; the one unused for longest goes first."""
MOST_LOADS = 24
"""Kept of one model, the newest."""

REMEMBERED = (
    "n_gpu_layers",
    "placement",
    "n_ctx",
    "n_ubatch",
    "n_threads",
    "type_k",
    "type_v",
    "flash_attn",
    "offload_kqv",
    "tensor_split",
    "on_cpu",
)
"""Fields of a ``LoadSpec`` that belong to a model."""
_OF_DEVICES = ("n_gpu_layers", "placement", "tensor_split", "on_cpu")
"""Of them those that say nothing on other devices."""


class LoadTime(msgspec.Struct, frozen=True):
    """One load."""

    n_gpu_layers: int
    vram: int
    """Bytes that it put on devices, by the plan."""
    seconds: float


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One model; another size is another file."""

    size: int
    used: float
    rpc: tuple[str, ...] = ()
    changed: dict[str, Any] = {}
    """What differed from the config when it loaded last, by field."""
    loads: tuple[LoadTime, ...] = ()


class Remembered:
    """Belongs to one thread; several offtuis may use the file."""

    def __init__(self, file: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """Remember in ``file``; ``None``: in the state folder."""
        self._file = file or paths.state_dir() / "models.json"
        self._clock = clock

    def settings(self, spec: LoadSpec) -> dict[str, Any]:
        """The fields in which the last good load of that model differed from what is configured; their values."""
        kept = self._read().get(spec.model)
        if kept is None or kept.size != _size(spec.model):
            return {}
        elsewhere = kept.rpc != spec.rpc
        return {
            name: value
            for name, value in kept.changed.items()
            if name in REMEMBERED and not (elsewhere and name in _OF_DEVICES)
        }

    def loads(self, model: str) -> tuple[LoadTime, ...]:
        """How long loads of that model took, oldest first."""
        kept = self._read().get(model)
        return kept.loads if kept is not None and kept.size == _size(model) else ()

    def read_rate(self) -> float | None:
        """Bytes of a file per second of its load, by the middle of all models; ``None``: nothing was loaded yet."""
        rates = sorted(
            kept.size / load.seconds for kept in self._read().values() for load in kept.loads[-1:] if load.seconds > 0
        )
        return rates[len(rates) // 2] if rates else None

    def keep(self, wanted: LoadSpec, configured: LoadSpec, load: LoadTime) -> None:
        """Remember a load that worked.

        Args:
            wanted: as it was asked for, with what was left open.
            configured: as it would have been asked for without a person's wish.
            load: how long it took.
        """
        size = _size(wanted.model)
        if size is None:
            return
        found = {name: getattr(wanted, name) for name in REMEMBERED}
        changed = {name: value for name, value in found.items() if value != getattr(configured, name)}
        with contextlib.suppress(OSError, UnicodeEncodeError), private.alone(self._file):
            models = self._read()
            before = models.get(wanted.model)
            loads = before.loads if before is not None and before.size == size and before.rpc == wanted.rpc else ()
            models[wanted.model] = _Kept(
                size=size, used=self._clock(), rpc=wanted.rpc, changed=changed, loads=(*loads, load)[-MOST_LOADS:]
            )
            newest = sorted(models.items(), key=lambda entry: entry[1].used)[-MOST_MODELS:]
            private.replace_file(self._file, msgspec.json.encode(dict(newest)))

    def _read(self) -> dict[str, _Kept]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, _Kept])
        except (
            OSError,
            msgspec.MsgspecError,
            UnicodeDecodeError,
        ):  # none yet, or none of ours
            return {}


def applied(spec: LoadSpec, changes: dict[str, Any]) -> LoadSpec:
    """``spec`` with remembered fields; those whose values make no sense any more are left as they are."""
    found = msgspec.to_builtins(spec) | changes
    try:
        return msgspec.convert(found, LoadSpec)
    except msgspec.ValidationError:
        return spec


def _size(model: str) -> int | None:
    try:
        return os.stat(model).st_size
    except (OSError, ValueError):
        return None
