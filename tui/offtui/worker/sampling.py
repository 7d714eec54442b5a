"""The sampler chain of llama.cpp: its order, its defaults, and the defaults a model file brings."""

import ctypes
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from offtui.protocol.spec import Sampling
from offtui.worker.llama import api

DEFAULTS: Final = Sampling(
    temperature=0.8,
    top_k=40,
    top_p=0.95,
    min_p=0.05,
    repeat_last_n=64,
    repeat_penalty=1.0,
    presence_penalty=0.0,
    frequency_penalty=0.0,
)
"""llama.cpp's (common/common.h)."""

_FILE_KEYS: Final[dict[str, tuple[str, Callable[[str], float]]]] = {
    "temperature": ("general.sampling.temp", float),
    "top_k": ("general.sampling.top_k", int),
    "top_p": ("general.sampling.top_p", float),
    "min_p": ("general.sampling.min_p", float),
    "repeat_last_n": ("general.sampling.penalty_last_n", int),
    "repeat_penalty": ("general.sampling.penalty_repeat", float),
}


def file_defaults(metadata: Callable[[str], str | None]) -> Sampling:
    """The model file's own values over llama.cpp's defaults; ``metadata`` reads one key of the file."""
    found: dict[str, float] = {}
    for field, (key, parse) in _FILE_KEYS.items():
        try:
            text = metadata(key)
            if text is not None:
                found[field] = parse(text)
        except ValueError:
            continue  # a value that is no number is as good as none
    return msgspec.structs.replace(DEFAULTS, **found)


def resolve(wanted: Sampling, defaults: Sampling) -> Sampling:
    """``wanted`` with its unset values taken from ``defaults``, and a seed drawn where there is none."""
    values = {
        field: getattr(defaults, field)
        for field in wanted.__struct_fields__
        if getattr(wanted, field) is None and field not in ("seed", "max_tokens")
    }
    if wanted.seed is None:
        values["seed"] = secrets.randbits(32) - 1 & 0xFFFFFFFF
    return msgspec.structs.replace(wanted, **values)


class SamplerChain:
    """A llama.cpp sampler chain for one turn. Free it with ``close``."""

    def __init__(self, sampling: Sampling, history: Sequence[int], n_vocab: int, n_ctx: int, draws: int = 0) -> None:
        """Build the chain as it is after ``draws`` tokens.

        Args:
            sampling: resolved.
            history: the prompt's tokens and those of the answer so far, which the penalties count.
            n_vocab: size of the vocabulary.
            n_ctx: tokens of the context; what the penalties look back on at most.
            draws: how many tokens this turn has sampled already, in another chain.
        """
        parameters = api.llama_sampler_chain_default_params()
        self._chain: Any = api.llama_sampler_chain_init(parameters)
        greedy = not sampling.temperature or sampling.temperature <= 0
        last_n = sampling.repeat_last_n or 0
        last_n = n_ctx if last_n < 0 else last_n
        penalties = (
            sampling.repeat_penalty or 1.0,
            sampling.frequency_penalty or 0.0,
            sampling.presence_penalty or 0.0,
        )
        if last_n and penalties != (1.0, 0.0, 0.0):
            self._add(api.llama_sampler_init_penalties(n_vocab, last_n, *penalties))
            for token in history[-last_n:]:
                api.llama_sampler_accept(self._chain, token)
        if greedy:
            self._add(api.llama_sampler_init_greedy())
        else:
            self._add(api.llama_sampler_init_top_k(sampling.top_k))
            self._add(api.llama_sampler_init_top_p(sampling.top_p, 1))
            self._add(api.llama_sampler_init_min_p(sampling.min_p, 1))
            self._add(api.llama_sampler_init_temp(sampling.temperature))
            dist = api.llama_sampler_init_dist(sampling.seed)
            self._add(dist)
            _draw(dist, draws)

    def sample(self, context: Any) -> int:
        """The next token by the logits of the last decoded one; counted by the penalties."""
        token: int = api.llama_sampler_sample(self._chain, context, -1)
        return token

    def close(self) -> None:
        """Free the chain."""
        if self._chain is not None:
            api.llama_sampler_free(self._chain)
            self._chain = None

    def _add(self, sampler: Any) -> None:
        api.llama_sampler_chain_add(self._chain, sampler)


def _draw(dist: Any, count: int) -> None:
    """Bring the random numbers of a fresh ``dist`` sampler to where they are after ``count`` tokens.

    It draws one number for each token, whatever the candidates are (llama-sampler.cpp), so two made-up ones will do.
    """
    candidates = (api.llama_token_data * 2)()
    candidates[1].id = 1
    array = api.llama_token_data_array(candidates, 2, -1, False)
    for _ in range(count):
        api.llama_sampler_apply(dist, ctypes.byref(array))
