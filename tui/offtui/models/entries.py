"""Files with what is known of them: from the catalogue at once, from their headers where they are new."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from offtui.engine import prober
from offtui.engine.prober import Leash
from offtui.gguf.facts import FileFacts, facts_of
from offtui.gguf.header import Header
from offtui.gguf.library import ModelFile
from offtui.models.fitting import Fitting
from offtui.plan.probe import HeaderReply
from offtui.store.catalogue import Catalogue, Mark
from offtui.text import clean_line

BATCH = 16
"""Headers read by one prober; what they say is shown when it ends."""

ReadHeaders = Callable[[Sequence[str]], list[HeaderReply]]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the list."""

    file: ModelFile
    facts: FileFacts | None = None
    """``None``: the header has not been read yet."""
    favourite: bool = False
    used: float | None = None
    """When it was last loaded, in seconds since 1970."""
    tps: float | None = None
    """Tokens per second, measured last."""
    fitting: Fitting | None = None
    """What of it fits here; ``None``: not planned yet, or not to be planned."""

    @property
    def kind(self) -> str:
        """What it is for, by its header, else by its name."""
        if self.facts is None or self.facts.failure:
            return self.file.kind_hint
        return self.facts.kind

    @property
    def quant(self) -> str:
        """By its name, which tells recipes apart that the header does not; else by the header."""
        return self.file.quant or (self.facts.quant if self.facts else "")

    @property
    def is_loadable(self) -> bool:
        """Whether it can be talked with, for all that is known."""
        return self.kind == "model" and not self.file.missing and not (self.facts and self.facts.failure)

    @property
    def key(self) -> str:
        """Under which its header is kept."""
        return f"{self.file.path}\n{self.file.bytes}\n{self.file.mtime_ns}"


def known(files: Sequence[ModelFile], catalogue: Catalogue, speeds: Mapping[str, float] = {}) -> list[Entry]:
    """The files with what the catalogue has of them as they are now. Opens none of them."""
    facts, marks = catalogue.facts(), catalogue.marks()
    entries: list[Entry] = []
    for file in files:
        path = str(file.path)
        size, mtime_ns, kept = facts.get(path, (-1, -1, None))
        mark = marks.get(path, Mark())
        entries.append(
            Entry(
                file=file,
                facts=kept if (size, mtime_ns) == (file.bytes, file.mtime_ns) else None,
                favourite=mark.favourite,
                used=mark.used,
                tps=speeds.get(path),
            )
        )
    return entries


def read_unknown(
    entries: Iterable[Entry], catalogue: Catalogue, leash: Leash | None = None, *, batch: int = BATCH
) -> Iterator[list[Entry]]:
    """Read the headers of those without facts, in probers, and remember them; yields what was read, a batch at a time.

    A file that kills or stalls its prober gets a failure, and the others are read.
    """
    left = [entry for entry in entries if entry.facts is None and not entry.file.missing]
    for start in range(0, len(left), batch):
        some = left[start : start + batch]
        replies = prober.read_headers([str(entry.file.path) for entry in some], leash=leash)
        read: list[Entry] = []
        for entry, reply in zip(some, replies, strict=True):
            if reply.header is not None:
                catalogue.keep_header(entry.key, reply.header)
            elif reply.failure is not None and reply.failure.kind == "timeout" and leash is not None and leash.is_cut:
                return  # we were told to stop: this says nothing of the file
            read.append(msgspec.structs.replace(entry, facts=_facts(reply)))
        catalogue.keep_facts(
            (str(entry.file.path), entry.file.bytes, entry.file.mtime_ns, entry.facts)
            for entry, reply in zip(read, replies, strict=True)
            # a disk or a machine that was slow for a while is no fact of the file
            if entry.facts is not None and not (reply.failure is not None and reply.failure.kind == "timeout")
        )
        yield read


def header_of(entry: Entry, catalogue: Catalogue, leash: Leash | None = None) -> Header | None:
    """The whole header of a file: kept, or read now; ``None`` where it cannot be."""
    header = catalogue.header(entry.key)
    if header is None:
        (reply,) = prober.read_headers([str(entry.file.path)], leash=leash)
        header = reply.header
        if header is not None:
            catalogue.keep_header(entry.key, header)
    return header


def _facts(reply: HeaderReply) -> FileFacts:
    if reply.header is not None:
        return facts_of(reply.header)
    message = reply.failure.message if reply.failure else "cannot be read"
    return FileFacts(failure=message.removeprefix(clean_line(reply.path, 300)).strip(" ."))
