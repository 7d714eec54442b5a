"""The sampler chain of llama.cpp: its order, its defaults, and the defaults a model file brings."""

import ctypes
import math
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from offtui.protocol.spec import Sampling
from offtui.worker.failures import fail
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

    def __init__(
        self,
        sampling: Sampling,
        history: Sequence[int],
        n_vocab: int,
        n_ctx: int,
        draws: int = 0,
        first: Any = None,
    ) -> None:
        """Build the chain as it is after ``draws`` tokens.

        Args:
            sampling: resolved.
            history: the prompt's tokens and those of the answer so far, which the penalties count.
            n_vocab: size of the vocabulary.
            n_ctx: tokens of the context; what the penalties look back on at most.
            draws: how many tokens this turn has sampled already, in another chain.
            first: a sampler that comes before all others; the chain frees it.
        """
        parameters = api.llama_sampler_chain_default_params()
        self._chain: Any = api.llama_sampler_chain_init(parameters)
        self._dist: Any = None
        if first is not None:
            self._add(first)
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
            penalties_sampler = api.llama_sampler_chain_get(self._chain, api.llama_sampler_chain_n(self._chain) - 1)
            for token in history[-last_n:]:
                api.llama_sampler_accept(penalties_sampler, token)
        if greedy:
            self._add(api.llama_sampler_init_greedy())
        else:
            self._add(api.llama_sampler_init_top_k(sampling.top_k))
            self._add(api.llama_sampler_init_top_p(sampling.top_p, 1))
            self._add(api.llama_sampler_init_min_p(sampling.min_p, 1))
            self._add(api.llama_sampler_init_temp(sampling.temperature))
            self._dist = api.llama_sampler_init_dist(sampling.seed)
            self._add(self._dist)
            _draw(self._dist, draws)

    def sample(self, context: Any) -> int:
        """The next token by the logits of the last decoded one; counted by the penalties."""
        token: int = api.llama_sampler_sample(self._chain, context, -1)
        return token

    def probe(self, context: Any) -> int:
        """What ``sample`` would give, leaving the chain as it is."""
        clone = api.llama_sampler_clone(self._chain)
        token: int = api.llama_sampler_sample(clone, context, -1)
        api.llama_sampler_free(clone)
        return token

    def follow(self, token: int) -> None:
        """Take over a token that was sampled elsewhere, as if it had been sampled here."""
        if self._dist is not None:
            _draw(self._dist, 1)
        api.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain."""
        if self._chain is not None:
            api.llama_sampler_free(self._chain)
            self._chain = None

    def _add(self, sampler: Any) -> None:
        api.llama_sampler_chain_add(self._chain, sampler)


class GrammarChain:
    """A chain whose tokens follow a grammar.

    A grammar takes milliseconds to look through a large vocabulary, and most tokens follow it by themselves. So a token
    is sampled without it first, and only where the grammar forbids that one, again among those it allows.
    """

    def __init__(
        self,
        grammar: Any,
        sampling: Sampling,
        history: Sequence[int],
        n_vocab: int,
        n_ctx: int,
        draws: int,
        begun: Sequence[int],
    ) -> None:
        """Build it as it is after the answer's tokens ``begun``, of which this turn has sampled ``draws``.

        ``grammar`` is freed with it; the rest is as for ``SamplerChain``.

        Raises:
            WorkerError: of kind ``bad_grammar``; the answer so far does not follow it.
        """
        self._grammar = grammar
        self._one = (api.llama_token_data * 1)()
        self._free = SamplerChain(sampling, history, n_vocab, n_ctx, draws)
        self._strict = SamplerChain(sampling, history, n_vocab, n_ctx, draws, first=grammar)
        for token in begun:
            if not self._allows(token):  # llama.cpp would end the process
                self.close()
                raise fail("bad_grammar", "What was answered so far does not follow the grammar, so it cannot go on.")
            api.llama_sampler_accept(grammar, token)

    def sample(self, context: Any) -> int:
        """The next token."""
        token = self._free.probe(context)
        if self._allows(token):
            self._strict.follow(token)
        else:
            token = self._strict.sample(context)
        self._free.follow(token)
        return token

    def close(self) -> None:
        """Free everything."""
        self._free.close()
        self._strict.close()

    def _allows(self, token: int) -> bool:
        self._one[0].id = token
        self._one[0].logit = 1.0
        array = api.llama_token_data_array(self._one, 1, -1, False)
        api.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return bool(math.isfinite(self._one[0].logit))


def _draw(dist: Any, count: int) -> None:
    """Bring the random numbers of a fresh ``dist`` sampler to where they are after ``count`` tokens.

    It draws one number for each token, whatever the candidates are (llama-sampler.cpp), so two made-up ones will do.
    """
    candidates = (api.llama_token_data * 2)()
    candidates[1].id = 1
    array = api.llama_token_data_array(candidates, 2, -1, False)
    for _ in range(count):
        api.llama_sampler_apply(dist, ctypes.byref(array))
