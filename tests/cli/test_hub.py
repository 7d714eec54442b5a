import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gguf import GGMLQuantizationType as Q
from offtui.cli.pull import fitted
from offtui.units import size_text
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


def test_a_split_model_without_all_its_parts_is_not_pulled(offtui, hub: FakeHub) -> None:
    hub.repos["ann/lack"] = FakeRepo({f"m-Q4_0-0000{n}-of-00003.gguf": FakeFile(b"x") for n in (1, 3)})
    for wish in ("ann/lack", "ann/lack:Q4_0"):
        outcome = offtui("pull", wish)
        assert outcome.code == 2
        assert "ann/lack lacks 1 part of m-Q4_0." in outcome.err
    assert hub.sent == {}


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


def test_of_very_many_files_none_is_chosen_and_the_sentence_is_short(offtui, hub: FakeHub) -> None:
    file = FakeFile(BODY)
    hub.repos["ann/many"] = FakeRepo({f"m-{n:04}.gguf": file for n in range(3000)})
    outcome = offtui("pull", "ann/many")
    assert outcome.code == 2
    assert "ann/many has 3000 models" in outcome.err
    assert "and 2988 more" in outcome.err
    assert len(outcome.err) < 500
    assert hub.sent == {}
    assert len(offtui("pull", "ann/many:nothing").err) < 500


def test_where_nobody_watches_the_last_line_says_that_all_is_here_and_a_failure_has_none_before_it(
    offtui, hub: FakeHub
) -> None:
    outcome = offtui("pull", "ann/Tiny-GGUF:q8_0")
    assert outcome.err.splitlines()[-1] == f"Q8_0 100 %  {size_text(2 * len(BODY))}  here and checked"
    assert [line for line in outcome.err.splitlines() if "0 B" in line] == []
    hub.fail("status", "tiny-Q4_0", status=404, times=9)
    assert offtui("pull", "ann/Tiny-GGUF:q4_0").err.count("\n") == 1


def test_a_line_of_progress_is_cut_between_its_parts() -> None:
    parts = ["Q4_0  42 %", "1.0 GiB of 4.0 GiB", "9 MiB/s", "5 min left", "7.0 GiB free"]
    assert fitted(parts, 79) == "Q4_0  42 %  1.0 GiB of 4.0 GiB  9 MiB/s  5 min left  7.0 GiB free"
    assert fitted(parts, 50) == "Q4_0  42 %  1.0 GiB of 4.0 GiB  9 MiB/s"
    assert fitted(["日本 1 %", "x" * 99], 20) == "日本 1 %  xxxxxxxxx…"


def test_no_network_is_said_and_is_no_usage_error(offtui, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    outcome = offtui("search", "x")
    assert outcome.code == 1
    assert "HF_HUB_OFFLINE" in outcome.err
