"""The thread that looks at the machine at an interval and hands out one frozen sample each time."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from offtui.monitor.probe import Probe
from offtui.monitor.sample import HostSample, ProcessSample, Sample
from offtui.text import clean_line

PATIENCE = 0.25
"""Seconds a sample waits for the GPUs' drivers; those that are slower stand in the next one."""
PATIENCE_AT_FIRST = 0.05
"""The same of the first sample: RAM and CPU are shown before a driver wakes up, whose answer has its own."""
SHORTEST = 0.05
"""Seconds between two samples at least, whatever is asked."""
_JOIN = 1.0

_log = logging.getLogger(__name__)

ReadHost = Callable[[], HostSample]
ReadProcess = Callable[[int | None], ProcessSample | None]


def usual_probes(model: Callable[[], str | None]) -> Sequence[Probe]:
    """The drivers of this machine's GPUs, and the page cache."""
    from offtui.monitor.amdgpu import AmdGpu
    from offtui.monitor.nvml import Nvml
    from offtui.monitor.pagecache import PageCache

    nvml, amd, cache = Nvml(), AmdGpu(), PageCache(model)
    return (
        Probe("NVML", nvml.read, due=nvml.is_due, close=nvml.close),
        Probe("amdgpu", amd.read, due=amd.is_due),
        Probe("The file system of the model", cache.read, due=cache.is_due),
    )


def _host_readers() -> tuple[ReadHost, ReadProcess]:
    from offtui.monitor.host import HostReader, ProcessReader

    return HostReader().read, ProcessReader().read


class Sampler:
    """Samples in a daemon thread: once at the start, then at the interval, and whenever ``poke`` is called.

    The GPUs' drivers are read in threads of their own: one that hangs is told of in ``problems`` and holds nothing up.

    Args:
        listener: called with each sample, in the sampler's thread.
        interval: seconds between samples; a callable is asked before each wait.
        worker_pid: the process to be sampled along; ``None`` where there is none.
        model: path of the model file that this process has mapped; ``None`` where it has none.
        probes: makes the readers of whatever may hang; called in the sampler's thread.
        readers: makes the readers of the host and of a process; called there too, as importing psutil takes its time.
    """

    def __init__(
        self,
        listener: Callable[[Sample], None],
        interval: Callable[[], float] | float = 1.0,
        worker_pid: Callable[[], int | None] = lambda: None,
        model: Callable[[], str | None] = lambda: None,
        *,
        probes: Callable[[], Sequence[Probe]] | None = None,
        readers: Callable[[], tuple[ReadHost, ReadProcess]] = _host_readers,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._listener = listener
        self._interval = interval
        self._worker_pid = worker_pid
        self._make_probes = probes or (lambda: usual_probes(model))
        self._make_readers = readers
        self._clock = clock
        self._wall = wall
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._listener_failure = ""
        self._has_looked = False
        self._awaited: frozenset[str] = frozenset()
        """Drivers that had never answered when the newest sample was taken."""

    def start(self) -> None:
        """Begin; the first sample comes at once. A sampler is started once."""
        if self._thread is not None:
            raise RuntimeError("The sampler was started already.")
        self._thread = threading.Thread(target=self._run, name="offtui sampler", daemon=True)
        self._thread.start()

    def poke(self) -> None:
        """Sample now, for instance because a model was loaded or the interval became shorter."""
        self._wake.set()

    @property
    def has_answers(self) -> bool:
        """Whether, when the newest sample was taken, every driver had answered at least once."""
        return not self._awaited

    def stop(self) -> None:
        """End and wait for it, at most two seconds; after this the listener is not called again. Idempotent."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2 * _JOIN)

    def _run(self) -> None:
        probes: Sequence[Probe] = ()
        try:
            readers = self._make_readers()
            probes = self._make_probes()
            for probe in probes:
                probe.answered = self._answered
            while not self._stopping.is_set():
                begun = self._clock()
                self._wake.clear()
                self._hand_out(self._look(begun, readers, probes))
                self._pause(begun)
        except Exception as error:  # noqa: BLE001 -- a monitor that cannot go on says so once; the app goes on without it
            _log.exception("Sampling has ended")
            self._hand_out(Sample(time=self._clock(), problems=(f"Monitoring has ended: {_named(error)}",)))
        finally:
            for probe in probes:
                probe.stop(_JOIN / 2)

    def _look(self, begun: float, readers: tuple[ReadHost, ReadProcess], probes: Sequence[Probe]) -> Sample:
        wall = self._wall()
        asked = [probe for probe in probes if probe.ask()]
        host, worker, problems = self._read(*readers)
        deadline = self._clock() + (PATIENCE if self._has_looked else PATIENCE_AT_FIRST)
        self._has_looked = True
        for probe in asked:
            probe.wait(max(0.0, deadline - self._clock()))
        self._awaited = frozenset(probe.name for probe in probes if not probe.answers)
        readings = [probe.latest() for probe in probes]
        gpus = [gpu for reading in readings for gpu in reading.gpus]
        return Sample(
            time=begun,
            gpus=tuple(msgspec.structs.replace(gpu, index=index) for index, gpu in enumerate(gpus)),
            host=host,
            worker=worker,
            cached=next((reading.cached for reading in readings if reading.cached is not None), None),
            wall=wall,
            problems=(*problems, *(problem for reading in readings for problem in reading.problems)),
        )

    def _read(
        self, read_host: ReadHost, read_process: ReadProcess
    ) -> tuple[HostSample, ProcessSample | None, list[str]]:
        host, worker, problems = HostSample(), None, [self._listener_failure] if self._listener_failure else []
        try:
            host = read_host()
        except Exception as error:  # noqa: BLE001 -- the rest of the sample is still worth having; named in it
            problems.append(f"RAM and CPU cannot be read: {_named(error)}")
        try:
            worker = read_process(self._worker_pid())
        except Exception as error:  # noqa: BLE001 -- as above
            problems.append(f"The worker's process cannot be read: {_named(error)}")
        return host, worker, problems

    def _hand_out(self, sample: Sample) -> None:
        if self._stopping.is_set():
            return
        try:
            self._listener(sample)
        except Exception as error:  # noqa: BLE001 -- the monitor outlives a listener's mistake, and names it
            _log.exception("The listener of samples failed")
            self._listener_failure = f"A sample could not be shown: {_named(error)}"

    def _pause(self, begun: float) -> None:
        interval = self._interval if isinstance(self._interval, (int, float)) else self._interval()
        self._wake.wait(max(0.0, begun + max(SHORTEST, interval) - self._clock()))

    def _answered(self, name: str) -> None:
        """In a probe's thread: a driver's first answer is shown when it comes, not an interval later."""
        if name in self._awaited:
            self._wake.set()


def _named(error: Exception) -> str:
    return clean_line(f"{type(error).__name__}: {error}")
