"""Failures as exceptions, and what llama.cpp's log says about a load that failed."""

from collections.abc import Sequence
from typing import NamedTuple

from offtui.errors import OfftuiError
from offtui.protocol import signs
from offtui.protocol.facts import Failure, FailureKind
from offtui.text import clean_line


class WorkerError(OfftuiError):
    """Something a person should be told; ``failure`` goes to the parent as it is."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def fail(kind: FailureKind, message: str, *, evidence: str = "", advice: str = "") -> WorkerError:
    """The exception of a failure, its texts cleaned."""
    return WorkerError(Failure(kind, clean_line(message), clean_line(evidence), clean_line(advice)))


class _Sign(NamedTuple):
    marks: tuple[str, ...]
    """Lower case; one of them in a line of the log makes that line the evidence."""
    kind: FailureKind
    message: str
    advice: str


_SMALLER = "Offload fewer layers, or take a smaller context or a smaller quantisation."

_SIGNS: tuple[_Sign, ...] = (
    _Sign(signs.DEVICE_MEMORY, "out_of_memory", "A device ran out of memory.", _SMALLER),
    _Sign(signs.RAM, "out_of_memory", "The RAM ran out.", "Take a smaller context or a smaller quantisation."),
    _Sign(
        (
            "out of memory",
            "unable to allocate",
            "failed to allocate",
            "alloc_buffer: allocating",
            "alloc_tensor_range: failed",
        ),
        "out_of_memory",
        "A buffer could not be allocated.",
        _SMALLER,
    ),
    _Sign(
        ("unknown model architecture",),
        "unsupported",
        "The installed llama.cpp does not know this model's architecture.",
        "A newer llama-cpp-python may know it: pip install --upgrade llama-cpp-python.",
    ),
    _Sign(
        ("unknown pre-tokenizer type",),
        "unsupported",
        "The installed llama.cpp does not know this model's tokenizer.",
        "A newer llama-cpp-python may know it: pip install --upgrade llama-cpp-python.",
    ),
    _Sign(
        ("not within the file bounds", "unexpectedly reached end of file"),
        "truncated",
        "The file is cut off.",
        "Download it again.",
    ),
    _Sign(("corrupted or incomplete",), "truncated", "The file is cut off or damaged.", "Download it again."),
    _Sign(("missing tensor",), "unsupported", "The file lacks tensors that its architecture needs.", ""),
    _Sign(("wrong number of tensors",), "unsupported", "The file's tensors are not those of its architecture.", ""),
    _Sign(("has wrong shape",), "unsupported", "The file's tensors contradict its metadata.", ""),
    _Sign(("key not found in model",), "unsupported", "The file's metadata is incomplete.", ""),
    _Sign(("invalid magic",), "not_gguf", "The file is not a GGUF.", ""),
    _Sign(
        ("v cache quantization requires flash_attn",), "unsupported", "A quantised V cache needs flash attention.", ""
    ),
)
"""What llama.cpp writes when a load fails, the most telling first."""


def diagnose(lines: Sequence[str], what: str) -> WorkerError:
    """The failure that the log of a failed load shows; ``what`` begins the sentence where nothing is recognised."""
    for sign in _SIGNS:
        for line in lines:
            if any(mark in line.lower() for mark in sign.marks):
                return fail(sign.kind, sign.message, evidence=line, advice=sign.advice)
    evidence = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    return fail("unsupported", f"{what}.", evidence=evidence)
