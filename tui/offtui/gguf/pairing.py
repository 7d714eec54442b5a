"""Which projector and which LoRA adapters belong to which model, by folder, repository and name."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from offtui.gguf.names import parse_quant

if TYPE_CHECKING:
    from offtui.gguf.library import ModelFile

_NOISE = re.compile(r"mm-?proj(?:ector)?|lora|adapter|model|gguf|[^a-z0-9]+", re.IGNORECASE)
_BEST = ("F16", "BF16", "F32", "Q8_0")
"""Projectors in the order in which they are taken: small files, whose precision matters more than their size."""


def paired(files: "Sequence[ModelFile]") -> "list[ModelFile]":
    """The same files, models with the paths of what belongs to them.

    A projector belongs to the models of its repository; in a folder of mixed files to those whose name its own begins
    with, or the only one there. Of several the best is taken.
    """
    folders: defaultdict[tuple[str, str], list[ModelFile]] = defaultdict(list)
    for file in files:
        if file.kind_hint in ("mmproj", "lora"):
            folders[_place(file)].append(file)
    if not folders:
        return list(files)
    bases: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for file in files:
        if file.kind_hint == "model":
            bases[_place(file)].add(_base(file))
    return [_with(file, folders.get(_place(file), ()), bases[_place(file)]) for file in files]


def _with(file: "ModelFile", extras: "Sequence[ModelFile]", bases: set[str]) -> "ModelFile":
    if file.kind_hint != "model" or not extras:
        return file
    own = [extra for extra in extras if _belongs(extra, file, bases)]
    projectors = sorted((extra for extra in own if extra.kind_hint == "mmproj"), key=_rank)
    return msgspec.structs.replace(
        file,
        mmproj=projectors[0].path if projectors else None,
        loras=tuple(extra.path for extra in own if extra.kind_hint == "lora"),
    )


def _belongs(extra: "ModelFile", file: "ModelFile", bases: set[str]) -> bool:
    if file.belongs_to or extra.belongs_to:
        return extra.belongs_to == file.name
    base = _base(extra)
    if base and any(own.startswith(base) or base.startswith(own) for own in bases if own):
        own = _base(file)
        return bool(own) and (own.startswith(base) or base.startswith(own))
    return bool(file.repo) or len(bases) == 1


def _place(file: "ModelFile") -> tuple[str, str]:
    return ("", file.repo) if file.repo else (os.path.dirname(file.path), "")


def _base(file: "ModelFile") -> str:
    """The name without quantisation, role and punctuation."""
    name = file.name.casefold()
    quant = parse_quant(name).casefold()
    if quant:
        name = name.replace(quant, " ")
    return _NOISE.sub("", name)


def _rank(extra: "ModelFile") -> tuple[int, str]:
    order = _BEST.index(extra.quant) if extra.quant in _BEST else len(_BEST)
    return order, os.fspath(extra.path)
