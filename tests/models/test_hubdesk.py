from pathlib import Path

import pytest

from offtui.models import hubdesk
from offtui.models.fitting import Here
from offtui.models.hubdesk import HubDesk, Opened
from offtui.protocol.facts import DeviceFacts
from offtui.store.catalogue import Catalogue
from offtui.units import GIB
from tests.fakes import gguf_shapes
from tests.fakes.hub import FakeFile, FakeHub, FakeRepo

HERE = Here((DeviceFacts("CPU", "cpu", "a processor", 8 * GIB, 16 * GIB),), 8 * GIB)


def test_what_is_known_of_models_is_opened_once_for_all_plans_of_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Catalogue] = []

    class Counting(Catalogue):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(hubdesk, "Catalogue", Counting)
    tiny = gguf_shapes.write_random(tmp_path / "tiny.gguf", gguf_shapes.bench_tiny())
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.repos["ann/Chat-GGUF"] = FakeRepo(
            {f"chat-{quant}.gguf": FakeFile(path=tiny) for quant in ("Q4_0", "Q5_0", "Q8_0")}
        )
        desk = HubDesk(lambda _: None)
        try:
            opened = desk.open("ann/Chat-GGUF")
            assert isinstance(opened, Opened)
            made.clear()
            plans = list(desk.plans(opened, HERE, opened.offers))
        finally:
            desk.close()
    assert [plan.offer.name for plan in plans] == [offer.name for offer in opened.offers]
    assert all(plan.fitting is not None for plan in plans)
    assert len(made) == 1
