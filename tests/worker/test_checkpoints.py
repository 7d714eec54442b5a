"""When the KV cache is copied while an answer is written: by what a copy costs, and never too large."""

import os
from typing import Any

import pytest

from offtui.protocol.carry import Layout, Manifest, pack_tokens
from offtui.protocol.events import Checkpointed, StateSaved
from offtui.worker import carry, checkpoints
from offtui.worker.checkpoints import LEAST_TOKENS, SHARE, Checkpoints
from offtui.worker.shared import Shared

LAYOUT = Layout(
    path="m", file_bytes=1, mtime_ns=0, llama_cpp="0", type_k="f16", type_v="f16", flash_attn=True, swa_full=False
)


class Cache:
    n_past = 0


class Scene:
    """Copies that take ``cost`` seconds of a clock that only moves when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.cost, self.size, self.can = 0.0, 0.1, 1000, True
        self.told: list[Checkpointed] = []
        self.cache = Cache()
        self.made = Checkpoints(self.told.append, lambda: self.now)
        monkeypatch.setattr(carry, "size_of", lambda _: self.size)
        monkeypatch.setattr(carry, "save", self._save)

    def _save(self, sequence: Any, memory: Shared, share_more: float) -> StateSaved:
        self.now += self.cost
        os.ftruncate(memory.descriptor, self.size)
        tokens = pack_tokens(range(sequence.n_past))
        manifest = Manifest(layout=LAYOUT, n_ctx=9, size=self.size, tokens=tokens) if self.can else None
        return StateSaved(manifest, self.cost)

    def keep(self, most: int = 10**6) -> list[int]:
        files = [os.memfd_create("test") for _ in range(2)]
        for file in files:
            self.made.keep(file, most)
        return files

    def write(self, seconds: float, per_second: int = 100) -> None:
        """An answer, looked at ten times a second."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.1
            self.cache.n_past += per_second // 10
            self.made.look(self.cache)  # type: ignore[arg-type]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_the_copies_take_a_sixtieth_of_the_time_at_most(scene: Scene) -> None:
    scene.keep()
    scene.write(300)
    spent = len(scene.told) * scene.cost
    assert 0.8 / SHARE <= spent / 300 <= 1 / SHARE
    assert [event.slot for event in scene.told[:4]] == [0, 1, 0, 1]


def test_cheap_copies_are_made_every_two_seconds(scene: Scene) -> None:
    scene.keep()
    scene.cost = 0.001
    scene.write(20)
    assert 8 <= len(scene.told) <= 10


def test_few_new_tokens_are_not_worth_one(scene: Scene) -> None:
    scene.keep()
    scene.write(15, per_second=10)
    assert all(
        after.manifest.n_tokens - before.manifest.n_tokens >= LEAST_TOKENS
        for before, after in zip(scene.told, scene.told[1:], strict=False)
    )


def test_a_cache_that_is_too_large_or_cannot_be_copied_gives_the_memory_back(scene: Scene) -> None:
    files = scene.keep(most=999)
    scene.write(30)
    assert scene.told == []
    for file in files:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)
    scene.can = False
    scene.keep()
    scene.write(30)
    assert scene.told == []


@pytest.mark.parametrize("copies", [1, 2, 3])
@pytest.mark.parametrize("can", [True, False], ids=["too large", "cannot be copied"])
def test_only_the_newest_copy_stays_once_there_are_no_more(scene: Scene, copies: int, can: bool) -> None:
    ours = [os.dup(file) for file in scene.keep(most=1000)]
    while len(scene.told) < copies:
        scene.write(0.1)
    scene.size, scene.can = (1001, True) if can else (1000, False)
    scene.write(30)
    assert len(scene.told) == copies
    sizes = [os.fstat(file).st_size for file in ours]
    for file in ours:
        os.close(file)
    newest = scene.told[-1].slot
    assert (sizes[newest], sizes[1 - newest]) == (1000, 0)


def test_nothing_is_copied_where_nobody_asked(scene: Scene) -> None:
    scene.write(30)
    assert scene.told == []
    assert checkpoints.LEAST_SECONDS > 0
