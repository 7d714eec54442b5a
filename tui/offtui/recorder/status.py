"""The machine and the session now: as JSON for programs, as a line for people and for tmux."""

import msgspec

from offtui.engine.state import Phase, SessionState
from offtui.monitor.sample import Sample
from offtui.recorder.devices import DeviceUse, device_uses, ram_use
from offtui.recorder.names import model_name
from offtui.units import UNKNOWN, count_text, gib, rate_text


class ProcessStatus(msgspec.Struct, frozen=True):
    """A process that holds memory of a GPU. Bytes."""

    pid: int
    name: str | None
    used: int | None


class GpuStatus(msgspec.Struct, frozen=True):
    """A GPU of this machine, or a device of the session elsewhere. Bytes, shares 0…1, Watts, °C."""

    name: str
    total: int | None
    used: int | None
    free: int | None
    util: float | None
    power_w: float | None
    temp_c: float | None
    processes: tuple[ProcessStatus, ...]


class HostStatus(msgspec.Struct, frozen=True):
    """RAM in bytes; ``cpu`` is the share 0…1 of all cores."""

    ram_total: int | None
    ram_used: int | None
    swap_used: int | None
    cpu: float | None


class SessionStatus(msgspec.Struct, frozen=True):
    """The session of an offtui that runs. Tokens, and tokens per second."""

    model: str | None
    n_gpu_layers: int | None
    phase: str
    tps: float | None
    prompt_tps: float | None
    kv_used: int | None
    n_ctx: int | None


class Status(msgspec.Struct, frozen=True):
    """What ``offtui status --json`` prints."""

    gpus: tuple[GpuStatus, ...]
    host: HostStatus
    session: SessionStatus | None


def status_of(sample: Sample, state: SessionState | None) -> Status:
    """The status now; ``state`` is ``None`` where no offtui runs."""
    host = sample.host
    return Status(
        gpus=tuple(_gpu(use) for use in device_uses(state or SessionState(), sample)),
        host=HostStatus(host.ram_total, host.ram_used, host.swap_used, host.cpu),
        session=None if state is None else _session(state),
    )


def _gpu(use: DeviceUse) -> GpuStatus:
    card = use.card
    return GpuStatus(
        name=use.title or use.name,
        total=use.total,
        used=use.used,
        free=use.free,
        util=card.util if card else None,
        power_w=card.power_w if card else None,
        temp_c=card.temp_c if card else None,
        processes=tuple(
            ProcessStatus(process.pid, process.name or None, process.used)
            for process in (card.processes if card else ())
        ),
    )


def _session(state: SessionState) -> SessionStatus:
    loaded, turn, last = state.loaded, state.turn, state.last_timings
    return SessionStatus(
        model=model_name(state) or None,
        n_gpu_layers=loaded.layers.got if loaded else None,
        phase=state.phase.value,
        tps=turn.tps if turn else last.tps if last else None,
        prompt_tps=last.prompt_tps if last else None,
        kv_used=state.n_past if loaded else None,
        n_ctx=loaded.n_ctx if loaded else None,
    )


def line(sample: Sample, state: SessionState | None) -> str:
    """One line for people: every device, RAM, CPU, session."""
    parts: list[str] = []
    for use in device_uses(state or SessionState(), sample):
        card = use.card
        words = [use.title or use.name, f"{gib(use.used)}/{gib(use.total)} GiB"]
        if card is not None:
            words += [
                _known(None if card.util is None else card.util * 100, "%"),
                _known(card.power_w, "W"),
                _known(card.temp_c, "°C"),
            ]
        parts.append(" ".join(word for word in words if word))
    parts += [_ram(sample, state), f"CPU {_known(_percent(sample), '%') or UNKNOWN}"]
    return " · ".join([*parts, *_session_parts(state)])


def tmux_line(sample: Sample, state: SessionState | None) -> str:
    """A short line for the status of tmux, in which ``#`` would begin a format."""
    known = [(use.used, use.total) for use in device_uses(state or SessionState(), sample)]
    sums = [(used, total) for used, total in known if used is not None and total is not None]
    parts: list[str] = []
    if sums:
        parts.append(f"VRAM {gib(sum(used for used, _ in sums))}/{gib(sum(total for _, total in sums))}")
    parts.append(_ram(sample, state, unit=""))
    return " · ".join([*parts, *_session_parts(state, short=True)]).replace("#", "##")


def _ram(sample: Sample, state: SessionState | None, unit: str = " GiB") -> str:
    use = ram_use(state or SessionState(), sample)
    return f"RAM {gib(use.used)}/{gib(use.total)}{unit}"


def _percent(sample: Sample) -> float | None:
    return None if sample.host.cpu is None else sample.host.cpu * 100


def _known(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.0f} {unit}"


def _session_parts(state: SessionState | None, *, short: bool = False) -> list[str]:
    if state is None:
        return []
    session = _session(state)
    if session.n_gpu_layers is None or state.loaded is None:
        return [text for text in (session.model if not short else "", session.phase) if text]
    layers = f"{session.n_gpu_layers}/{state.loaded.layers.max}"
    if short:
        return [f"{layers} layers", f"{rate_text(session.tps)} t/s"]
    doing = [session.phase] if state.phase is not Phase.READY else []
    context = f"ctx {count_text(session.kv_used)}/{count_text(session.n_ctx)}"
    return [session.model or UNKNOWN, f"{layers} layers", *doing, f"{rate_text(session.tps)} t/s", context]
