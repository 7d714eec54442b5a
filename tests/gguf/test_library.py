import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from offtui.config import Config
from offtui.gguf import library
from offtui.gguf.caches import cache_folders
from offtui.gguf.library import default_folders, find, search


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and none of the variables that move caches."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "LLAMA_CACHE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def put(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"G" * size)
    return path


def put_in_hub(hub: Path, repo: str, revision: str, name: str, blob: str, size: int = 10) -> Path:
    """A file as huggingface_hub lays it: a blob, and a link to it in a snapshot."""
    folder = hub / f"models--{repo.replace('/', '--')}"
    if not (folder / "blobs" / blob).exists():
        put(folder / "blobs" / blob, size)
    link = folder / "snapshots" / revision / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(folder / "blobs" / blob, link.parent))
    return link


def test_files_are_found_below_a_folder_and_sorted_by_name(tmp_path: Path) -> None:
    models = tmp_path / "models"
    b = put(models / "b-Q4_K_M.gguf", 20)
    a = put(models / "deep/er/A-bf16.GGUF", 30)
    put(models / "c.gguf.part")
    put(models / "readme.md")
    found = find([models])
    assert [(model.path, model.name, model.bytes, model.quant, model.source) for model in found] == [
        (a, "A-bf16", 30, "BF16", "folder"),
        (b, "b-Q4_K_M", 20, "Q4_K_M", "folder"),
    ]
    assert found[0].parts == (a,)
    assert found[0].missing == 0


def test_a_path_of_a_file_is_taken_as_such(tmp_path: Path) -> None:
    file = put(tmp_path / "one.gguf")
    assert [model.path for model in find([file, tmp_path])] == [file]


def test_parts_of_a_split_model_are_one_model(tmp_path: Path) -> None:
    parts = [put(tmp_path / "m" / f"big-Q8_0-0000{number}-of-00003.gguf", number * 100) for number in (3, 1, 2)]
    (model,) = find([tmp_path / "m"])
    assert model.path == parts[1]
    assert model.parts == (parts[1], parts[2], parts[0])
    assert (model.name, model.bytes, model.quant, model.missing) == ("big-Q8_0", 600, "Q8_0", 0)


def test_a_split_model_that_lacks_parts_says_so(tmp_path: Path) -> None:
    part = put(tmp_path / "m/big-00002-of-00003.gguf")
    put(tmp_path / "m/other-00001-of-00002.gguf")
    put(tmp_path / "m/other-00001-of-00003.gguf")
    big, *others = find([tmp_path / "m"])
    assert (big.path, big.missing) == (part, 2)
    assert [model.missing for model in others] == [1, 2], "parts of another count are of another model"


def test_the_hugging_face_cache_lists_each_blob_once_under_its_name(home: Path) -> None:
    hub = home / ".cache/huggingface/hub"
    put_in_hub(hub, "owner/repo-GGUF", "0a", "m-Q4_0.gguf", "b1", 40)
    put_in_hub(hub, "owner/repo-GGUF", "0b", "m-Q4_0.gguf", "b1", 40)
    newer = put_in_hub(hub, "owner/repo-GGUF", "0b", "Q8_0/other.gguf", "b2", 50)
    put(hub / "models--owner--repo-GGUF/blobs/stray.gguf")
    model, other = find(default_folders(Config()))
    assert (model.name, model.bytes, model.source, model.repo) == ("m-Q4_0", 40, "huggingface", "owner/repo-GGUF")
    assert "snapshots" in model.path.parts
    assert (other.path, other.quant) == (newer, "Q8_0"), "the folder's name tells where the file's does not"


def test_a_complete_snapshot_is_preferred_to_one_that_lacks_parts(home: Path) -> None:
    hub = home / ".cache/huggingface/hub"
    put_in_hub(hub, "o/r", "0a", "m-00001-of-00002.gguf", "b1")
    whole = put_in_hub(hub, "o/r", "0b", "m-00001-of-00002.gguf", "b1")
    put_in_hub(hub, "o/r", "0b", "m-00002-of-00002.gguf", "b2")
    (model,) = find([hub])
    assert (model.path, model.missing) == (whole, 0)


def test_links_from_one_program_to_anothers_file_do_not_list_it_twice(tmp_path: Path, home: Path) -> None:
    file = put(tmp_path / "mine/m.gguf")
    link = home / ".lmstudio/models/o/r/m.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(file)
    os.link(file, tmp_path / "mine/same.gguf")
    assert [model.path for model in find(default_folders(Config(models=(str(tmp_path / "mine"),))))] == [file]


def test_lm_studio_tells_the_repository_by_its_folders(home: Path) -> None:
    put(home / ".lmstudio/models/bartowski/Qwen-GGUF/Qwen-Q4_K_M.gguf")
    put(home / ".lmstudio/models/loose.gguf")
    loose, qwen = find(default_folders(Config()))
    assert (qwen.source, qwen.repo) == ("lmstudio", "bartowski/Qwen-GGUF")
    assert (loose.source, loose.repo) == ("lmstudio", "")


def test_lm_studios_own_settings_say_where_it_downloads(home: Path, tmp_path: Path) -> None:
    put(home / ".lmstudio/settings.json").write_text(f'{{"downloadsFolder": "{tmp_path}/big"}}')
    model = put(tmp_path / "big/o/r/m.gguf")
    (found,) = find(default_folders(Config()))
    assert (found.path, found.source, found.repo) == (model, "lmstudio", "o/r")


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"downloadsFolder": 3}', '{"downloadsFolder": "a\\u0000b"}'])
def test_settings_of_lm_studio_that_cannot_be_read_are_passed_over(home: Path, text: str) -> None:
    put(home / ".lmstudio/settings.json").write_text(text)
    assert home / ".lmstudio/models" in default_folders(Config())


def test_lm_studios_home_may_lie_elsewhere(home: Path, tmp_path: Path) -> None:
    (home / ".lmstudio-home-pointer").write_text(f"{tmp_path}/studio\n")
    assert tmp_path / "studio/models" in default_folders(Config())


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({}, "~/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x", "HF_HOME": "~/hf"}, "~/hf/hub"),
        ({"HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old"}, "/old"),
        ({"HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "$ROOT/${SUB}/c"}, "/r/s/c"),
        ({"HF_HUB_CACHE": "", "HF_HOME": "/h"}, "/h/hub"),
    ],
)
def test_the_hugging_face_cache_is_where_its_variables_say(
    environ: dict[str, str], folder: str, tmp_path: Path
) -> None:
    folders = dict(cache_folders({**environ, "ROOT": "/r", "SUB": "s"}, tmp_path))
    assert folders[Path(folder.replace("~", str(tmp_path)))] == "huggingface"


def test_llama_cpps_cache_is_where_its_variables_say(tmp_path: Path) -> None:
    assert dict(cache_folders({"LLAMA_CACHE": "/l"}, tmp_path))[Path("/l")] == "llama.cpp"
    assert dict(cache_folders({"XDG_CACHE_HOME": "/x"}, tmp_path))[Path("/x/llama.cpp")] == "llama.cpp"


def test_configured_folders_come_first_and_each_folder_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS", "/srv/models")
    folders = default_folders(Config(models=("~/m", "$MODELS", "~/.cache/llama.cpp")))
    assert folders[:3] == [home / "m", Path("/srv/models"), home / ".cache/llama.cpp"]
    assert len(folders) == len(set(folders))


def test_hidden_and_broken_things_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "m/.hidden/a.gguf")
    put(tmp_path / "m/.b.gguf")
    (tmp_path / "m/broken.gguf").symlink_to(tmp_path / "nowhere")
    (tmp_path / "m/self.gguf").symlink_to(tmp_path / "m/self.gguf")
    os.mkfifo(tmp_path / "m/fifo.gguf")
    (tmp_path / "m/folder.gguf").mkdir()
    inside = put(tmp_path / "m/folder.gguf/real.gguf")
    found = search([tmp_path / "m", tmp_path / "absent.gguf"])
    assert [model.path for model in found.models] == [inside]
    assert found.problems == ()


def test_links_in_circles_end(tmp_path: Path) -> None:
    file = put(tmp_path / "m/sub/a.gguf")
    (tmp_path / "m/sub/up").symlink_to(tmp_path / "m")
    (tmp_path / "m/again").symlink_to(tmp_path / "m/sub")
    (tmp_path / "m/zz").symlink_to(tmp_path / "m/zz")
    found = find([tmp_path / "m"])
    assert [model.path.resolve() for model in found] == [file]


def test_a_folder_deeper_than_the_limit_is_not_entered(tmp_path: Path) -> None:
    levels = [f"d{number}" for number in range(library.MAX_DEPTH + 1)]
    put(tmp_path.joinpath("m", *levels, "deep.gguf"))
    put(tmp_path.joinpath("m", *levels[:-1], "near.gguf"))
    found = search([tmp_path / "m"])
    assert [model.name for model in found.models] == ["near"]
    assert found.problems == (f"{tmp_path}/m is searched {library.MAX_DEPTH} folders deep; some lie deeper.",)
    assert search([tmp_path / "m" / levels[0]]).problems == ()


def test_a_folder_that_is_not_there_is_said_and_noticed_when_it_comes(home: Path, tmp_path: Path) -> None:
    """But not the caches of programs that are not here."""
    found = search(default_folders(Config(models=(str(tmp_path / "disk"),))))
    assert found.problems == (f"{tmp_path}/disk, where models are looked for, is not there.",)
    put(tmp_path / "disk/a.gguf")
    assert found.is_stale
    again = search([tmp_path / "disk"])
    assert ([model.name for model in again.models], again.problems) == (["a"], ())


def test_a_folder_that_holds_too_much_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "MAX_FILES", 5)
    for number in range(9):
        put(tmp_path / "m" / f"{number}.gguf")
    put(tmp_path / "m/sub/more.gguf")
    found = search([tmp_path / "m"])
    assert len(found.models) == 5
    assert found.problems == (f"{tmp_path}/m holds too much to be searched to its end.",)


def test_a_folder_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "m/open/a.gguf")
    put(tmp_path / "m/locked/b.gguf")
    really = os.scandir

    def scandir(folder: str) -> object:
        if folder.endswith("locked"):
            raise PermissionError(13, "Permission denied", folder)
        return really(folder)

    monkeypatch.setattr(library.os, "scandir", scandir)
    assert search([tmp_path / "m/locked"]).problems == (f"{tmp_path}/m/locked cannot be searched: Permission denied.",)
    below = search([tmp_path / "m"])
    assert [model.name for model in below.models] == ["a"]
    assert below.problems == (), "somebody else's folder below is no news"


@pytest.mark.parametrize("name", ["a[b].gguf", "[@click=app.quit]x[bold.gguf", "quo'te\".gguf", "ü 模型.gguf"])
def test_names_are_kept_as_they_are(tmp_path: Path, name: str) -> None:
    put(tmp_path / "m" / name)
    (model,) = find([tmp_path / "m"])
    assert model.name == name.removesuffix(".gguf")
    assert model.path.is_file()


def test_names_cannot_act_on_a_terminal(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "m")
    os.mkdir(folder)
    for name in (b"esc\x1b]52;c;AA\x07.gguf", b"line\nbreak.gguf", b"bad\xff.gguf", b"\x1b.gguf"):
        with open(os.path.join(folder, name), "wb"):
            pass
    found = find([tmp_path / "m"])
    assert {model.name for model in found} == {"esc]52;c;AA", "line break", "bad", "(no name)"}
    assert all(model.path.is_file() for model in found), "the path still is the file's"


def test_a_folder_that_cannot_exist_is_said() -> None:
    assert "cannot be searched" in search([Path("a\0b")]).problems[0]


def test_a_thousand_files_are_listed_at_once(tmp_path: Path) -> None:
    for number in range(1000):
        folder = tmp_path / "m" / f"owner{number % 40}" / f"repo{number % 200}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"model-{number}-Q4_K_M.gguf").touch()
    find([tmp_path / "m"])
    spent: list[float] = []
    for _ in range(5):
        begun = time.process_time()
        assert len(find([tmp_path / "m"])) == 1000
        spent.append(time.process_time() - begun)
    assert min(spent) < 0.1, spent


def put_in_ollama(root: Path, name: str, layers: dict[str, bytes]) -> dict[str, Path]:
    """A manifest and its blobs, as Ollama lays them."""
    blobs: dict[str, Path] = {}
    entries = []
    for kind, body in layers.items():
        digest = hashlib.sha256(body).hexdigest()
        blob = root / "blobs" / f"sha256-{digest}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(body)
        blobs[kind] = blob
        media = f"application/vnd.ollama.image.{kind}"
        entries.append({"mediaType": media, "digest": f"sha256:{digest}", "size": len(body)})
    manifest = root / "manifests" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": entries}))
    return blobs


def test_ollamas_blobs_have_the_names_of_their_manifests(home: Path) -> None:
    root = home / ".ollama/models"
    layers = {"model": b"GGUF one", "projector": b"GGUF eye", "template": b"{{ }}"}
    blobs = put_in_ollama(root, "registry.ollama.ai/library/llava/7b-q4_0", layers)
    other = put_in_ollama(root, "hf.co/owner/Some-GGUF/Q4_K_M", {"model": b"GGUF two"})
    (root / "blobs/sha256-stray.gguf").write_bytes(b"GGUF")
    hub, llava, eye = find(default_folders(Config()))
    assert (hub.path, hub.name, hub.quant) == (other["model"], "hf.co/owner/Some-GGUF:Q4_K_M", "Q4_K_M")
    assert (llava.path, llava.name, llava.source) == (blobs["model"], "llava:7b-q4_0", "ollama")
    assert llava.mmproj == blobs["projector"]
    assert hub.mmproj is None, "the projector is another model's"
    assert (eye.kind_hint, eye.path) == ("mmproj", blobs["projector"])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"layers": 3}', '{"layers": [{"mediaType": "application/vnd.ollama.image.model"}]}']
)
def test_manifests_that_cannot_be_read_are_passed_over(home: Path, text: str) -> None:
    root = home / ".ollama/models"
    put_in_ollama(root, "registry.ollama.ai/library/good/1", {"model": b"GGUF one"})
    put(root / "manifests/registry.ollama.ai/library/bad/1").write_text(text)
    assert [model.name for model in find([root])] == ["good:1"]


def test_a_digest_cannot_name_a_path_elsewhere(home: Path) -> None:
    root = home / ".ollama/models"
    (root / "blobs").mkdir(parents=True)
    secret = put(home / "secret")
    manifest = put(root / "manifests/registry.ollama.ai/library/bad/1")
    digest = "sha256:" + "../" * 8 + str(secret)
    manifest.write_text(json.dumps({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": digest}]}))
    assert find([root]) == []


def test_a_projector_is_paired_with_the_models_of_its_repository(home: Path) -> None:
    folder = home / ".lmstudio/models/o/Gemma-GGUF"
    put(folder / "gemma-3-Q4_K_M.gguf")
    put(folder / "gemma-3-Q8_0.gguf")
    best = put(folder / "mmproj-model-f16.gguf")
    put(folder / "mmproj-model-f32.gguf")
    pairs = {model.name: model.mmproj for model in find(default_folders(Config()))}
    assert pairs["gemma-3-Q4_K_M"] == pairs["gemma-3-Q8_0"] == best
    assert pairs["mmproj-model-f16"] is None


def test_in_a_mixed_folder_names_decide_what_belongs_together(tmp_path: Path) -> None:
    put(tmp_path / "m/gemma-3-4b-Q4_K_M.gguf")
    put(tmp_path / "m/qwen-8b-Q4_K_M.gguf")
    own = put(tmp_path / "m/gemma-3-4b-mmproj-F16.gguf")
    lora = put(tmp_path / "m/qwen-8b-lora.gguf")
    put(tmp_path / "m/mmproj-F16.gguf")
    models = {model.name: model for model in find([tmp_path / "m"])}
    assert models["gemma-3-4b-Q4_K_M"].mmproj == own
    assert models["gemma-3-4b-Q4_K_M"].loras == ()
    assert models["qwen-8b-Q4_K_M"].mmproj is None
    assert models["qwen-8b-Q4_K_M"].loras == (lora,)


def test_a_file_that_came_or_went_makes_a_search_stale(tmp_path: Path) -> None:
    file = put(tmp_path / "m/a/one.gguf")
    found = search([tmp_path / "m", tmp_path / "later"])
    assert not found.is_stale
    put(tmp_path / "m/a/two.gguf")
    assert found.is_stale
    found = search([tmp_path / "m", tmp_path / "later"])
    file.unlink()
    assert found.is_stale
    found = search([tmp_path / "m", tmp_path / "later"])
    (tmp_path / "later").mkdir()
    assert found.is_stale, "a folder that was not there is there now"
