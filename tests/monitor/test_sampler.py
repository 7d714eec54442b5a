import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from offtui.monitor.probe import SLOW, Probe, Reading
from offtui.monitor.sample import GpuSample, HostSample, ProcessSample, Sample
from offtui.monitor.sampler import Sampler


class Listener:
    """Keeps samples, and waits for one."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._come = threading.Condition()

    def __call__(self, sample: Sample) -> None:
        with self._come:
            self.samples.append(sample)
            self._come.notify_all()

    def until(self, predicate: Callable[[Sample], bool], seconds: float = 10.0) -> Sample:
        """The first sample that ``predicate`` is true of."""
        with self._come:
            assert self._come.wait_for(lambda: any(map(predicate, self.samples)), seconds), self.samples[-1:]
            return next(filter(predicate, self.samples))

    def count(self, count: int, seconds: float = 10.0) -> list[Sample]:
        """Wait for so many samples."""
        with self._come:
            assert self._come.wait_for(lambda: len(self.samples) >= count, seconds)
            return list(self.samples)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def sampler(listener: Listener) -> Iterator[Callable[..., Sampler]]:
    """Makes samplers and ends them."""
    made: list[Sampler] = []

    def make(interval: Callable[[], float] | float = 0.05, **options: object) -> Sampler:
        options.setdefault("probes", lambda: ())
        options.setdefault("readers", lambda: (lambda: HostSample(ram_total=7), lambda pid: pid and ProcessSample(pid)))
        made.append(Sampler(listener, interval, options.pop("worker_pid", lambda: None), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.stop()


def gpu(name: str, **fields: object) -> GpuSample:
    return GpuSample(index=0, name=name, **fields)  # type: ignore[arg-type]


def test_the_first_sample_of_a_real_machine_comes_at_once(listener: Listener) -> None:
    sampler = Sampler(listener, 60.0)
    begun = time.monotonic()
    sampler.start()
    try:
        (sample, *_) = listener.count(1)
    finally:
        sampler.stop()
    assert sample.time - begun < 1.0
    assert sample.host.ram_total is not None
    assert sample.host.ram_total > 0


def test_samples_come_at_the_interval(sampler: Callable[..., Sampler], listener: Listener) -> None:
    sampler(0.2).start()
    samples = listener.count(3)
    assert samples[2].time - samples[0].time >= 0.38


def test_the_interval_may_change(sampler: Callable[..., Sampler], listener: Listener) -> None:
    interval = [60.0]
    running = sampler(lambda: interval[0])
    running.start()
    listener.count(1)
    interval[0] = 0.05
    running.poke()
    samples = listener.count(5)
    assert samples[4].time - samples[0].time < 60


def test_a_poke_samples_now(sampler: Callable[..., Sampler], listener: Listener) -> None:
    running = sampler(60.0)
    running.start()
    listener.count(1)
    running.poke()
    listener.count(2)


def test_the_worker_is_sampled_along(sampler: Callable[..., Sampler], listener: Listener) -> None:
    pid: list[int | None] = [None]
    sampler(worker_pid=lambda: pid[0]).start()
    assert listener.count(1)[0].worker is None
    pid[0] = 4711
    assert listener.until(lambda sample: sample.worker is not None).worker == ProcessSample(4711)


def test_gpus_of_all_drivers_are_numbered_through(sampler: Callable[..., Sampler], listener: Listener) -> None:
    def probes() -> list[Probe]:
        return [
            Probe("NVML", lambda: Reading((gpu("a"), gpu("b")), ("NVML says so.",))),
            Probe("amdgpu", lambda: Reading((gpu("c"),))),
        ]

    sampler(probes=probes).start()
    sample = listener.until(lambda sample: len(sample.gpus) == 3)
    assert [(each.index, each.name) for each in sample.gpus] == [(0, "a"), (1, "b"), (2, "c")]
    assert sample.problems == ("NVML says so.",)


def test_a_drivers_first_answer_is_shown_when_it_comes(sampler: Callable[..., Sampler], listener: Listener) -> None:
    gate = threading.Event()

    def read() -> Reading:
        gate.wait(10)
        return Reading((gpu("late"),))

    sampler(60.0, probes=lambda: [Probe("NVML", read)]).start()
    assert listener.count(1)[0].gpus == ()
    gate.set()
    assert listener.count(2)[1].gpus[0].name == "late"


def test_who_has_nothing_new_to_say_is_asked_once_and_keeps_its_word(
    sampler: Callable[..., Sampler], listener: Listener
) -> None:
    calls, is_due = [0], [False]

    def read() -> Reading:
        calls[0] += 1
        return Reading((gpu(f"look {calls[0]}"),))

    looking = sampler(probes=lambda: [Probe("NVML", read, due=lambda: is_due[0])])
    looking.start()
    assert [gpu.name for gpu in listener.until(lambda sample: sample.gpus != ()).gpus] == ["look 1"]
    assert listener.count(len(listener.samples) + 3)[-1].gpus[0].name == "look 1"
    assert looking.has_answers
    is_due[0] = True
    listener.until(lambda sample: sample.gpus[0].name == "look 2")


def test_a_driver_that_hangs_holds_nothing_up(sampler: Callable[..., Sampler], listener: Listener) -> None:
    gate, now, calls = threading.Event(), [0.0], [0]

    def read() -> Reading:
        calls[0] += 1
        if calls[0] > 1:
            gate.wait(20)
        return Reading((gpu("card", total=8, used=3),))

    sampler(probes=lambda: [Probe("NVML", read, clock=lambda: now[0])]).start()
    try:
        listener.until(lambda sample: sample.gpus != () and sample.gpus[0].used == 3)
        listener.count(len(listener.samples) + 3)
        now[0] = SLOW + 2
        silent = listener.until(lambda sample: sample.problems != ())
        assert silent.problems == (f"NVML has not answered for {SLOW + 2:.0f} s.",)
        assert silent.gpus == (gpu("card", total=8),), "old figures are not shown as new ones"
        listener.count(len(listener.samples) + 3)
        assert calls[0] == 2, "it is not asked again while it hangs"
    finally:
        gate.set()
    listener.until(lambda sample: calls[0] > 2 and sample.problems == () and sample.gpus[0].used == 3)


def test_what_fails_is_named_and_costs_only_itself(sampler: Callable[..., Sampler], listener: Listener) -> None:
    def fails(*_: object) -> Reading:
        raise OSError(5, "Input/output \x1b[31merror")

    sampler(readers=lambda: (fails, fails), probes=lambda: [Probe("NVML", fails)]).start()
    sample = listener.until(lambda sample: len(sample.problems) == 3)
    assert sample.problems == (
        "RAM and CPU cannot be read: OSError: [Errno 5] Input/output [31merror",
        "The worker's process cannot be read: OSError: [Errno 5] Input/output [31merror",
        "NVML failed: OSError: [Errno 5] Input/output [31merror",
    )
    assert sample.host == HostSample()


def test_a_listeners_mistake_is_named_and_sampling_goes_on() -> None:
    samples: list[Sample] = []
    enough = threading.Event()

    def listen(sample: Sample) -> None:
        samples.append(sample)
        if len(samples) == 1:
            raise ValueError("no such widget")
        enough.set()

    sampler = Sampler(listen, 0.05, probes=lambda: (), readers=lambda: (HostSample, lambda pid: None))
    sampler.start()
    try:
        assert enough.wait(10)
    finally:
        sampler.stop()
    assert samples[1].problems == ("A sample could not be shown: ValueError: no such widget",)


def test_a_sampler_that_cannot_begin_says_so(sampler: Callable[..., Sampler], listener: Listener) -> None:
    def readers() -> None:
        raise ImportError("No module named 'psutil'")

    sampler(readers=readers).start()
    assert listener.count(1)[0].problems == ("Monitoring has ended: ImportError: No module named 'psutil'",)


def test_after_the_end_nothing_comes(sampler: Callable[..., Sampler], listener: Listener) -> None:
    before, closed = set(threading.enumerate()), threading.Event()
    running = sampler(probes=lambda: [Probe("NVML", Reading, close=closed.set)])
    running.start()
    listener.count(2)
    running.stop()
    count = len(listener.samples)
    assert closed.is_set()
    assert set(threading.enumerate()) <= before
    running.poke()
    running.stop()
    assert len(listener.samples) == count


def test_what_reads_is_imported_only_when_sampling_begins() -> None:
    code = "import sys, offtui.monitor.sampler; sys.exit(bool({'psutil', 'pynvml'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_sampler_is_started_once(sampler: Callable[..., Sampler]) -> None:
    running = sampler()
    running.start()
    with pytest.raises(RuntimeError):
        running.start()


def test_a_sampler_that_was_not_started_can_be_stopped(sampler: Callable[..., Sampler]) -> None:
    sampler().stop()
