"""From wishes to a LoadSpec and a Sampling: pure, each wish checked with one clear sentence."""

from pathlib import Path
from typing import get_args

import msgspec

from offtui import paths
from offtui.errors import UsageError
from offtui.options import Options, parse_endpoint
from offtui.protocol.facts import LayerCount
from offtui.protocol.spec import CacheType, FlashAttn, LoadSpec, Sampling, Strategy
from offtui.text import clean_line
from offtui.units import parse_size

AUTO = "auto"


class Settings(msgspec.Struct, frozen=True):
    """What the next load and the next turn are asked with."""

    opened_with: Options
    spec: LoadSpec
    sampling: Sampling

    @classmethod
    def of(cls, options: Options) -> "Settings":
        """What the command line asks for."""
        return cls(options, options.load_spec(), options.sampling)

    def with_layers(self, layers: int | None, placement: Strategy | None = None) -> "Settings":
        """The same model under another split, and another placement where one is given."""
        return self._load(n_gpu_layers=layers, placement=self.spec.placement if placement is None else placement)

    def with_placement(self, text: str) -> "Settings":
        """The same model, with as much of this placement as fits."""
        if text not in get_args(Strategy):
            names = ", ".join(get_args(Strategy))
            raise UsageError(f"/placement takes one of {names}, not {clean_line(text, 40)!r}.")
        return self._load(n_gpu_layers=None, placement=text)

    def with_model(self, path: Path) -> "Settings":
        """Another model: the split is chosen anew, the rest stays."""
        if str(path) == self.spec.model:
            return self
        options = self.opened_with
        spec = msgspec.structs.replace(
            self.spec, model=str(path), n_gpu_layers=None, placement=options.placement, n_ctx=options.n_ctx
        )
        return msgspec.structs.replace(self, spec=spec)

    def with_guide(self) -> "Settings":
        """The built-in guide."""
        return self.with_model(paths.guide_model())

    def with_context(self, text: str) -> "Settings":
        """``auto`` or a number of tokens."""
        n_ctx = None if text == AUTO else _whole(text, "ctx", 16, 2**24)
        return self._load(n_ctx=n_ctx)

    def with_cache(self, text: str) -> "Settings":
        """``auto``, a type for K and V, or one for each: ``q8_0/f16``."""
        type_k, slash, type_v = text.partition("/")
        type_v = type_v if slash else type_k
        if text == AUTO:
            type_k = type_v = "f16"
        for name in (type_k, type_v):
            if name not in get_args(CacheType):
                types = ", ".join(get_args(CacheType))
                raise UsageError(f"/kv takes auto, a type or K/V of {types}, not {clean_line(text, 40)!r}.")
        return self._load(type_k=type_k, type_v=type_v)

    def with_flash_attention(self, text: str) -> "Settings":
        """``on``, ``off`` or ``auto``."""
        if text not in get_args(FlashAttn):
            raise UsageError(f"/fa takes on, off or auto, not {clean_line(text, 40)!r}.")
        return self._load(flash_attn=text)

    def with_ubatch(self, text: str) -> "Settings":
        """``auto`` or a number of tokens."""
        return self._load(n_ubatch=512 if text == AUTO else _whole(text, "ubatch", 1, 2**16))

    def with_threads(self, text: str) -> "Settings":
        """``auto`` or a number of threads."""
        n_threads = self.opened_with.config.n_threads if text == AUTO else _whole(text, "threads", 1, 1024)
        return self._load(n_threads=n_threads, n_threads_batch=None)

    def with_budget(self, text: str) -> "Settings":
        """A size, ``8GiB``, or ``off``."""
        return self._load(vram_budget=None if text in ("off", AUTO) else parse_size(text))

    def with_rpc(self, text: str) -> "Settings":
        """Addresses of RPC devices, or ``none``; the layers are chosen anew."""
        named = () if text in ("none", "off") else text.replace(",", " ").split()
        rpc = tuple(dict.fromkeys(parse_endpoint(name) for name in named))
        return self._load(rpc=rpc, rpc_as_found=False, n_gpu_layers=None, tensor_split=())

    def _load(self, **changes: object) -> "Settings":
        return msgspec.structs.replace(self, spec=msgspec.structs.replace(self.spec, **changes))


def parse_layers(text: str, layers: LayerCount | None) -> int | None:
    """``auto``, ``N``, ``+N`` or ``-N``, against what is loaded.

    Raises:
        UsageError: not such a text, or beyond what the model has.
    """
    if text == AUTO:
        return None
    relative = text[:1] in ("+", "-")
    if relative and layers is None:
        raise UsageError("/ngl +N and -N turn from what is loaded, and nothing is.")
    digits = text[1:] if relative else text
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 9:
        raise UsageError(f"/ngl takes a number of layers, auto, +N or -N, not {clean_line(text, 40)!r}.")
    number = int(digits)
    if layers is None:
        return number
    if relative:
        return min(max(layers.got + (number if text[0] == "+" else -number), 0), layers.max)
    if number > layers.max:
        raise UsageError(f"This model has {layers.max} layers to offload (0…{layers.max}); {number} is too many.")
    return number


def model_path(text: str) -> Path:
    """The path typed, with ``~`` and quotes resolved.

    Raises:
        UsageError: the home folder it speaks of is unknown.
    """
    bare = text.strip()
    if len(bare) >= 2 and bare[0] == bare[-1] and bare[0] in "'\"":
        bare = bare[1:-1]
    try:
        return Path(bare).expanduser()
    except RuntimeError as error:
        raise UsageError(f"There is no home folder for {clean_line(bare, 80)!r}.") from error


def _whole(text: str, name: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 12 or not low <= int(text) <= high:
        raise UsageError(f"/{name} takes auto or a whole number {low}…{high}, not {clean_line(text, 40)!r}.")
    return int(text)
