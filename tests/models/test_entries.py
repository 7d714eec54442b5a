import os
from dataclasses import replace
from pathlib import Path

import pytest

from offtui.engine import prober
from offtui.gguf.library import find
from offtui.models.entries import header_of, known, read_unknown
from offtui.protocol.facts import no_chat_model
from offtui.store.catalogue import Catalogue
from tests.fakes import gguf_shapes


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A model that llama.cpp runs, one that is only a shape, one that is broken, one that lacks a part."""
    folder = tmp_path / "models"
    folder.mkdir()
    gguf_shapes.write_random(folder / "tiny.gguf", gguf_shapes.bench_tiny())
    gguf_shapes.write_sparse(folder / "qwen3-8b-Q4_K_M.gguf", gguf_shapes.qwen3_8b())
    (folder / "broken.gguf").write_bytes(b"GGUF" + b"\1" * 60)
    (folder / "half-00001-of-00002.gguf").write_bytes(b"GGUF")
    return folder


def test_headers_are_read_once_and_remembered(
    models: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = find([models])
    entries = known(files, catalogue)
    assert [entry.facts for entry in entries] == [None] * 4
    read = {e.file.name: e for batch in read_unknown(entries, catalogue) for e in batch}
    qwen, tiny, broken = read["qwen3-8b-Q4_K_M"], read["tiny"], read["broken"]
    assert qwen.facts is not None
    assert (qwen.facts.arch, qwen.facts.n_layer, qwen.kind, qwen.quant) == ("qwen3", 36, "model", "Q4_K_M")
    assert tiny.facts is not None
    assert tiny.facts.has_template
    assert tiny.is_loadable
    assert broken.facts is not None
    assert "version" in broken.facts.failure
    assert str(models) not in broken.facts.failure, "the list says already which file it is"
    assert not broken.is_loadable
    assert "half" not in read, "a model that lacks parts has no header to read"

    monkeypatch.setattr(prober, "read_headers", lambda *_, **__: pytest.fail("read again"))
    again = {entry.file.name: entry for entry in known(files, catalogue)}
    assert again["qwen3-8b-Q4_K_M"].facts == qwen.facts
    assert again["broken"].facts == broken.facts
    assert list(read_unknown(again.values(), catalogue)) == []
    header = header_of(again["tiny"], catalogue)
    assert header is not None
    assert header.n_layer == tiny.facts.n_layer


def test_a_file_that_changed_is_read_again(models: Path, catalogue: Catalogue) -> None:
    entries = known(find([models]), catalogue)
    for _ in read_unknown(entries, catalogue):
        pass
    tiny = models / "tiny.gguf"
    status = tiny.stat()
    os.utime(tiny, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    unknown = [entry.file.name for entry in known(find([models]), catalogue) if entry.facts is None]
    assert unknown == ["half", "tiny"]


def test_an_architecture_without_code_is_not_offered_and_asked_about_again(models: Path, catalogue: Catalogue) -> None:
    gguf_shapes.write_random(models / "new.gguf", replace(gguf_shapes.bench_tiny(), arch="qwen9000"))
    for _ in range(2):  # a newer llama.cpp may know it
        (new,) = [entry for entry in known(find([models]), catalogue) if entry.file.name == "new"]
        ((new,),) = read_unknown([new], catalogue)
        assert new.facts is not None
        assert (new.kind, new.facts.arch, new.is_loadable) == ("unknown", "qwen9000", False)
        assert header_of(new, catalogue) is not None, "its metadata can be read all the same"
    refusal = no_chat_model(new.kind, "new.gguf", new.facts.arch)
    assert refusal is not None
    assert "architecture qwen9000" in refusal.message


def test_a_name_that_is_not_utf_8_is_said_and_the_others_are_read(models: Path, catalogue: Catalogue) -> None:
    os.rename(models / "tiny.gguf", os.path.join(os.fsencode(models), b"caf\xe9.gguf"))
    (read,) = read_unknown(known(find([models]), catalogue), catalogue)
    failures = {entry.file.name: entry.facts.failure for entry in read if entry.facts}
    assert failures["caf"] == "has a name that is not UTF-8"
    assert failures["qwen3-8b-Q4_K_M"] == ""


def test_marks_and_speeds_belong_to_paths(models: Path, catalogue: Catalogue) -> None:
    path = str(models / "tiny.gguf")
    catalogue.set_used(path)
    catalogue.set_favourite(path, True)
    (entry,) = [e for e in known(find([models]), catalogue, {path: 12.5}) if e.file.name == "tiny"]
    assert (entry.favourite, entry.tps) == (True, 12.5)
    assert entry.used is not None
    catalogue.set_favourite(path, False)
    assert catalogue.marks()[path].used == entry.used
    catalogue.forget(path)
    assert path not in catalogue.marks()


def test_a_damaged_catalogue_is_kept_aside_and_said(tmp_path: Path) -> None:
    file = tmp_path / "bad.db"
    file.write_bytes(b"no database at all" * 100)
    opened = Catalogue(file)
    assert opened.facts() == {}
    assert "kept as" in opened.notices[0]
    opened.close()
    assert list(tmp_path.glob("bad.db.damaged*"))
