"""Names of processes by number, where the number means the same to the driver and to us."""

import os

import psutil

from offtui.text import clean_line

_FIRST_NAMESPACE = "pid:[4026531836]"
"""The kernel's fixed number of the machine's own process namespace."""


def process_name(pid: int) -> str:
    """The name of a process a GPU driver told of; empty where it is gone or its number is not ours."""
    if _contained():
        return ""
    try:
        return clean_line(psutil.Process(pid).name(), 60)
    except (psutil.Error, ValueError, OverflowError):
        return ""


def _contained() -> bool:
    """Whether this process runs in a namespace of process numbers of its own, as in a container."""
    try:
        return os.readlink("/proc/self/ns/pid") != _FIRST_NAMESPACE
    except OSError:
        return False
