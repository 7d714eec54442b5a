"""From wishes to a LoadSpec and a Sampling: pure, each wish checked with one clear sentence."""

from pathlib import Path

import msgspec

from offtui import paths
from offtui.errors import UsageError
from offtui.options import Options
from offtui.protocol.facts import LayerCount
from offtui.protocol.spec import LoadSpec, Sampling
from offtui.text import clean_line

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

    def with_layers(self, layers: int | None) -> "Settings":
        """The same model under another split."""
        return msgspec.structs.replace(self, spec=msgspec.structs.replace(self.spec, n_gpu_layers=layers))

    def with_model(self, path: Path) -> "Settings":
        """Another model: the split is chosen anew, the rest stays."""
        if str(path) == self.spec.model:
            return self
        options = self.opened_with
        spec = msgspec.structs.replace(self.spec, model=str(path), n_gpu_layers=None, n_ctx=options.n_ctx)
        return msgspec.structs.replace(self, spec=spec)

    def with_guide(self) -> "Settings":
        """The built-in guide."""
        return self.with_model(paths.guide_model())

    def with_context(self, text: str) -> "Settings":
        """``auto`` or a number of tokens."""
        n_ctx = None if text == AUTO else _whole(text, "ctx", 16, 2**24)
        return msgspec.structs.replace(self, spec=msgspec.structs.replace(self.spec, n_ctx=n_ctx))

    def with_temperature(self, text: str) -> "Settings":
        """``auto`` or 0…10."""
        return self._sample(temperature=None if text == AUTO else _decimal(text, "temp", 0, 10))

    def with_seed(self, text: str) -> "Settings":
        """``auto`` or a whole number."""
        return self._sample(seed=None if text == AUTO else _whole(text, "seed", 0, 2**32 - 1))

    def with_max_tokens(self, text: str) -> "Settings":
        """``auto`` or a whole number."""
        return self._sample(max_tokens=None if text == AUTO else _whole(text, "max-tokens", 1, 2**24))

    def _sample(self, **changes: float | int | None) -> "Settings":
        return msgspec.structs.replace(self, sampling=msgspec.structs.replace(self.sampling, **changes))


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


def _decimal(text: str, name: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not low <= value <= high:
        raise UsageError(f"/{name} takes auto or a number {low:g}…{high:g}, not {clean_line(text, 40)!r}.")
    return value
