import pytest

from offtui.errors import UsageError
from offtui.hub.names import check_repo, chosen, is_safe, offers, split_wish
from offtui.hub.wire import RemoteFile


def files(*names: str) -> list[RemoteFile]:
    return [RemoteFile(name=name, bytes=100 + n, sha256="0" * 64) for n, name in enumerate(names)]


def test_parts_are_one_offer_and_the_quant_may_be_the_folders_name() -> None:
    found = offers(
        files(
            "m-Q8_0.gguf", "Q4_K_M/m-00001-of-00002.gguf", "Q4_K_M/m-00002-of-00002.gguf", "mmproj-F16.gguf",
            "m-Q6_K-00002-of-00003.gguf", "README.md",
        )
    )  # fmt: skip
    assert [(offer.name, offer.quant, offer.kind, len(offer.files), offer.missing) for offer in found] == [
        ("m-Q8_0", "Q8_0", "model", 1, 0),
        ("m-Q6_K", "Q6_K", "model", 1, 2),
        ("Q4_K_M/m", "Q4_K_M", "model", 2, 0),
        ("mmproj-F16", "F16", "mmproj", 1, 0),
    ]
    assert [file.name for file in found[2].files] == ["Q4_K_M/m-00001-of-00002.gguf", "Q4_K_M/m-00002-of-00002.gguf"]


def test_a_word_means_a_quant_or_a_file() -> None:
    found = offers(files("m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-UD-Q4_K_XL.gguf", "mmproj-F16.gguf", "other-Q8_0.gguf"))
    assert chosen(found, "q4_k_m").name == "m-Q4_K_M"
    assert chosen(found, "Q4_K_XL").name == "m-UD-Q4_K_XL"
    assert chosen(found, "mmproj-F16.gguf").kind == "mmproj"
    with pytest.raises(UsageError, match=r"2 files there.*m-Q8_0.gguf, other-Q8_0.gguf"):
        chosen(found, "Q8_0")
    with pytest.raises(UsageError, match="there is Q8_0, Q4_K_M"):
        chosen(found, "Q2_K")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("o/r", ("o/r", "")),
        ("o/r:Q4_0", ("o/r", "Q4_0")),
        ("hf.co/o/r:a/b.gguf", ("o/r", "a/b.gguf")),
        ("https://huggingface.co/o/r/blob/main/sub/m.gguf", ("o/r", "sub/m.gguf")),
        ("https://huggingface.co/o/r", ("o/r", "")),
    ],
)
def test_a_wish_is_a_repository_and_a_word(text: str, meant: tuple[str, str]) -> None:
    assert split_wish(text) == meant


def test_a_path_behind_a_repository_is_not_left_out() -> None:
    with pytest.raises(UsageError, match="OWNER/NAME"):
        split_wish("o/r/x")


@pytest.mark.parametrize("name", ["o", "o/r/x", "../r", "o/..", "o/r\n", "ö/r", "o--x/r", "o/r.git", "-o/r"])
def test_what_is_no_repository_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="OWNER/NAME"):
        check_repo(name)


def test_safe_names_stay_below_a_folder() -> None:
    assert is_safe("a/b/c-Q4.gguf")
    for name in ("", "/a", "a/", "a//b", "../a", "a/..", "a\\b", "a\nb", "a\x1b", "a\u202eb", "é" * 200):
        assert not is_safe(name), name
