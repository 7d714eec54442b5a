import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gguf import GGMLQuantizationType as Q
from tests.fakes import gguf_shapes
from tests.fakes.hub import FakeFile, FakeHub, FakeRepo

BODY = b"GGUF" + random.Random(1).randbytes(300_000)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with FakeHub() as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        fake.repos["ann/Tiny-GGUF"] = FakeRepo({"tiny-Q4_0.gguf": FakeFile(BODY), "tiny-Q8_0.gguf": FakeFile(BODY * 2)})
        yield fake


def test_search_prints_what_was_promised(offtui, hub: FakeHub) -> None:
    outcome = offtui("search", "tiny", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out) == [
        {
            "repo": "ann/Tiny-GGUF", "downloads": 10, "likes": 1, "gated": False,
            "files": [
                {"name": "tiny-Q4_0.gguf", "bytes": len(BODY), "quant": "Q4_0"},
                {"name": "tiny-Q8_0.gguf", "bytes": 2 * len(BODY), "quant": "Q8_0"},
            ],
        }
    ]  # fmt: skip
    assert offtui("search", "tiny").out.startswith("ann/Tiny-GGUF")
    assert offtui("search", "--size", "big").code == 2
    for narrow in (["size:<1MB", "author:ann"], ["--size", "..1MiB", "--author", "ann"]):
        assert offtui("search", *narrow).out.endswith("  Q4_0 Q8_0\n")
    for narrow in (["params:<9B"], ["--params", "<9B"], ["--size", "3B..9B"], ["size:>1GiB"]):
        outcome = offtui("search", *narrow)
        assert (outcome.code, outcome.out) == (0, ""), "its parameters are not known"


def test_pull_prints_what_was_promised_and_plain_lines(offtui, hub: FakeHub, tmp_path: Path) -> None:
    outcome = offtui("pull", "ann/Tiny-GGUF:q4_0", "--to", str(tmp_path / "to"), "--json")
    assert outcome.code == 0, outcome.err
    file = hub.repos["ann/Tiny-GGUF"].files["tiny-Q4_0.gguf"]
    assert json.loads(outcome.out) == {
        "path": str(tmp_path / "to" / "tiny-Q4_0.gguf"), "bytes": len(BODY), "sha256": file.sha256, "resumed_bytes": 0,
    }  # fmt: skip
    assert "\r" not in outcome.err
    assert "\x1b" not in outcome.err


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ("../..", 2), ("ann/Tiny-GGUF:Q2_K", 2), ("ann/none", 3), ("ann/\x1b[2J", 2), ("o" * 10_000, 2),
        ("ann/empty", 3),
    ],
)  # fmt: skip
def test_what_cannot_be_pulled_is_one_line_and_a_code(offtui, hub: FakeHub, wish: str, code: int) -> None:
    hub.repos["ann/empty"] = FakeRepo({"model.safetensors": FakeFile(b"x")})
    outcome = offtui("pull", wish)
    assert outcome.code == code
    assert outcome.err.count("\n") == 1
    assert "\x1b" not in outcome.err


def test_without_a_quant_the_one_that_suits_this_machine_is_taken(offtui, hub: FakeHub, tmp_path: Path) -> None:
    big = gguf_shapes.write_sparse(tmp_path / "big.gguf", gguf_shapes.qwen3_32b())
    shape = gguf_shapes.decoder(
        "llama", 12, 256, 4, 2, 64, 768, 8000, 8192, tied=True, base=Q.Q8_0, more=Q.Q8_0, out=Q.Q8_0
    )
    tiny = gguf_shapes.write_random(tmp_path / "tiny.gguf", shape)
    hub.repos["ann/two"] = FakeRepo(
        {"m-Q4_K_M.gguf": FakeFile(path=big, _sha256="a" * 64), "m-Q8_0.gguf": FakeFile(path=tiny)}
    )
    outcome = offtui("pull", "ann/two")
    assert outcome.code == 0, outcome.err
    assert "Q8_0 is taken" in outcome.err
    assert Path(outcome.out.strip()).read_bytes() == tiny.read_bytes()
    assert hub.sent["m-Q4_K_M.gguf"] < 5_000_000


def test_no_network_is_said_and_is_no_usage_error(offtui, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    outcome = offtui("search", "x")
    assert outcome.code == 1
    assert "HF_HUB_OFFLINE" in outcome.err
