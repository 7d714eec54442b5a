"""The values of the time axis, made from one look at the machine and the session's state."""

from collections.abc import Iterable, Iterator

from offtui.engine.state import SessionState, TurnState
from offtui.monitor.sample import GpuSample, Sample
from offtui.protocol.facts import Timings
from offtui.recorder.devices import device_uses, ram_use


def values(sample: Sample, state: SessionState) -> dict[str, float | None]:
    """Everything but speeds, by the name of its series. Bytes, Watts, shares 0…1, tokens; ``None``: unknown.

    ``vram`` is the sum over the devices, ``power`` too; ``util`` and ``bandwidth`` are the means over the GPUs.
    """
    uses = device_uses(state, sample)
    shown = [use for use in uses if use.usable] or uses
    cards = [use.card for use in shown if use.card is not None]
    found: dict[str, float | None] = {
        "vram": _sum(use.used for use in shown),
        "ram": ram_use(state, sample).used,
        "swap": sample.host.swap_used,
        "power": _sum(card.power_w for card in cards),
        "util": _mean(cards, "util"),
        "bandwidth": _mean(cards, "mem_util"),
        "cpu": sample.host.cpu,
        "kv": float(state.n_past) if state.loaded is not None else None,
        "layers": float(state.loaded.layers.got) if state.loaded is not None else None,
    }
    if len(shown) > 1:
        found.update((f"vram {use.name}", use.used) for use in shown)
    return found


def _sum(known: Iterable[float | None]) -> float | None:
    numbers = [value for value in known if value is not None]
    return sum(numbers) if numbers else None


def _mean(cards: list[GpuSample], field: str) -> float | None:
    numbers = [value for card in cards if (value := getattr(card, field)) is not None]
    return sum(numbers) / len(numbers) if numbers else None


class Rates:
    """Tokens per second between two looks, by the worker's clock."""

    def __init__(self) -> None:
        self._tokens: tuple[int, int, float] | None = None
        """Turn and moves of it, its tokens and the time of the newest, at the look before."""
        self._prompt: tuple[int, int, float] | None = None
        """Turn, tokens of its prompt that were done, and time, at the look before; ``None``: none was being read."""
        self._read: float | None = None
        """Speed of a prompt that came and went since the look before."""
        self._live = False
        """Whether a look has seen tokens of the prompt come."""
        self._ended: Timings | None = None
        """Of the newest answer that has ended; one from before the first look is no news."""
        self._looked = False

    def measure(self, now: float, state: SessionState) -> Iterator[tuple[str, float | None]]:
        """``tps`` and ``prompt_tps``; nothing where the next token is only waited for."""
        reading, turn = self._reading(now, state), state.turn
        if turn is not None and turn.last_token is not None and not turn.paused:
            self._looked = True
            yield "prompt_tps", self._take_read()
            rate = self._writing(turn)
            if rate is not None:
                yield "tps", rate
            return
        seen, self._tokens = self._tokens is not None, None
        looked, self._looked = self._looked, True
        # An answer that came and went between two looks shows with its mean.
        ended, self._ended = self._ended, state.last_timings
        news = self._ended if looked and self._ended is not None and self._ended != ended else None
        yield "tps", news.tps if news is not None else None
        read = self._take_read() if turn is None else None
        yield "prompt_tps", reading if turn is not None else news.prompt_tps if news is not None and not seen else read

    def read(self, tokens: int, seconds: float) -> None:
        """A prompt was evaluated, so many tokens that were not reused; told at the next look, unless one saw it."""
        self._read = tokens / seconds if tokens > 0 and seconds > 0 and not self._live else None

    def _take_read(self) -> float | None:
        read, self._read = self._read, None
        return read

    def _writing(self, turn: TurnState) -> float | None:
        assert turn.last_token is not None
        now = (turn.turn * 1000 + turn.moves, turn.tokens, turn.last_token)
        before = self._tokens
        if before is None or before[0] != now[0]:
            self._tokens = now
            return turn.tps
        tokens, seconds = now[1] - before[1], now[2] - before[2]
        if tokens <= 0 or seconds <= 0:
            return None
        self._tokens = now
        return tokens / seconds

    def _reading(self, now: float, state: SessionState) -> float | None:
        turn = state.turn
        if turn is None or turn.tokens or turn.prompt_tokens is None or turn.paused:
            self._prompt, self._live = None, False
            return None
        before, self._prompt = self._prompt, (turn.turn, turn.prompt_done, now)
        if before is None or before[0] != turn.turn or turn.prompt_done <= before[1]:
            return None
        self._live = True
        return (turn.prompt_done - before[1]) / (now - before[2])
