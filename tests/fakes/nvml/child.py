"""Reads GPUs through the real pynvml and says what it read, a line of JSON each.

``reader``: answers each line ``{"clock": seconds}`` with a reading taken at that time.
``sampler``: says each sample of a running sampler, until its input ends.
"""

import json
import sys

import msgspec

from offtui.monitor.nvml import Nvml
from offtui.monitor.sampler import Sampler


def _say(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def _reader() -> None:
    now = 0.0
    nvml = Nvml(clock=lambda: now, retry=5.0, ram=lambda: (1000, 400), name_of=lambda pid: f"process {pid}")
    for line in sys.stdin:
        now = json.loads(line)["clock"]
        _say(nvml.read())
    nvml.close()


def _sampler() -> None:
    sampler = Sampler(_say, 0.1)
    sampler.start()
    sys.stdin.read()
    sampler.stop()


if __name__ == "__main__":
    {"reader": _reader, "sampler": _sampler}[sys.argv[1]]()
