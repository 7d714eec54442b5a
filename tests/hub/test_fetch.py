import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from huggingface_hub import constants

from offtui.gguf.library import find
from offtui.hub import fetch as fetching
from offtui.hub import web
from offtui.hub.__main__ import Stops
from offtui.hub.client import HubClient
from offtui.hub.layout import places
from offtui.hub.wire import Drop, Failed, Fetch, Fetched, GetInfo, Info, Progress, RemoteFile
from tests.fakes.hub import COMMIT, TOKEN, FakeFile, FakeHub, FakeRepo

MIB = 1 << 20
BODY = b"GGUF" + random.Random(1).randbytes(3 * MIB)


@pytest.fixture
def cache(home: Path) -> Path:
    """Hugging Face's cache of the test."""
    return home / "hf" / "hub"


@pytest.fixture(autouse=True)
def one(hub: FakeHub) -> FakeFile:
    file = FakeFile(BODY)
    hub.repos["o/r"] = FakeRepo({"m-Q4_0.gguf": file})
    return file


def request(client: HubClient, repo: str = "o/r", to: Path | str = "", names: tuple[str, ...] = ()) -> Fetch:
    info = client.call(GetInfo(id=client.next_id(), repo=repo))
    assert isinstance(info, Info), info
    files = tuple(file for file in info.files if not names or file.name in names)
    return Fetch(id=client.next_id(), repo=repo, commit=info.commit, files=files, to=str(to))


def fetch(client: HubClient, **more: Any) -> Any:
    return client.call(request(client, **more))


def good(client: HubClient, **more: Any) -> Fetched:
    answer = fetch(client, **more)
    assert isinstance(answer, Fetched), answer
    return answer


def bad(client: HubClient, **more: Any) -> Any:
    answer = fetch(client, **more)
    assert isinstance(answer, Failed), answer
    return answer.failure


def test_a_file_lands_in_the_cache_as_huggingface_hub_lays_it(hub: FakeHub, client: HubClient, cache: Path) -> None:
    done = good(client)
    assert done.bytes == len(BODY)
    assert done.sha256 == (hashlib.sha256(BODY).hexdigest(),)
    assert done.resumed == 0
    assert Path(done.paths[0]).read_bytes() == BODY
    code = (
        "from huggingface_hub import hf_hub_download as d, scan_cache_dir as s\n"
        "print(d('o/r', 'm-Q4_0.gguf', local_files_only=True)); print(len(s().warnings))"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert seen == [done.paths[0], "0"]
    (model,) = find([cache])
    assert (str(model.path), model.repo) == (done.paths[0], "o/r")
    assert not list(cache.rglob("*.incomplete"))
    again = good(client)
    assert again.resumed == len(BODY)
    assert hub.sent["m-Q4_0.gguf"] == len(BODY), "what is here is not fetched again"


@pytest.mark.parametrize("damage", [b"ZZZZ", b"longer"])
def test_a_blob_that_was_damaged_is_found_and_fetched_anew(hub: FakeHub, client: HubClient, damage: bytes) -> None:
    file = Path(good(client).paths[0])
    with file.open("r+b") as blob:
        blob.seek(len(BODY) - 4)
        blob.write(damage)
    assert file.read_bytes() != BODY
    assert good(client).sha256 == (hashlib.sha256(BODY).hexdigest(),)
    assert file.read_bytes() == BODY


def test_a_file_lands_in_a_folder(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    folder = tmp_path / "deep/models"
    done = good(client, to=folder)
    assert done.paths == (str(folder / "m-Q4_0.gguf"),)
    assert [path.name for path in folder.iterdir()] == ["m-Q4_0.gguf"]
    assert good(client, to=folder).resumed == len(BODY)
    (folder / "m-Q4_0.gguf").write_bytes(b"mine")
    assert "is another file" in bad(client, to=folder).message
    assert (folder / "m-Q4_0.gguf").read_bytes() == b"mine"


def test_a_name_as_long_as_names_can_be_lands_in_a_folder(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    name = "模" * 83 + ".gguf"  # 254 bytes
    hub.repos["o/long"] = FakeRepo({name: FakeFile(BODY)})
    done = good(client, repo="o/long", to=tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == [name]
    assert Path(done.paths[0]).read_bytes() == BODY


def test_a_file_that_git_keeps_is_checked_by_gits_hash(hub: FakeHub, client: HubClient) -> None:
    hub.repos["o/small"] = FakeRepo({"s.gguf": FakeFile(b"GGUF small", lfs=False)})
    assert good(client, repo="o/small").sha256 == ("",)
    hub.repos["o/bad"] = FakeRepo({"s.gguf": FakeFile(b"GGUF other", lfs=False)})
    hub.fail("rubbish", "s.gguf", times=9)
    assert bad(client, repo="o/bad").kind == "wrong_hash"


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.repos["o/gated"] = FakeRepo({"m.gguf": FakeFile(BODY)}, gated=True)
    known = HubClient()
    good(known, repo="o/gated")
    known.close()
    told = {path.split("/")[1]: "authorization" in {name.lower() for name in headers} for _, path, headers in hub.seen}
    assert told == {"api": True, "o": True, "cdn": False}
    for path in home.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()


def test_a_gated_repository_says_what_to_do(hub: FakeHub, client: HubClient) -> None:
    hub.repos["o/gated"] = FakeRepo({"m.gguf": FakeFile(BODY)}, gated=True)
    said = bad(client, repo="o/gated")
    assert said.kind == "gated"
    assert "terms" in said.advice


def test_what_breaks_off_goes_on_where_it_ended(hub: FakeHub, client: HubClient) -> None:
    hub.fail("cut", "m-Q4_0", after=MIB)
    hub.fail("cut", "m-Q4_0", after=MIB // 2)
    hub.fail("status", "/cdn/", status=503)
    done = good(client)
    assert Path(done.paths[0]).read_bytes() == BODY
    assert hub.sent["m-Q4_0.gguf"] < len(BODY) + MIB, "next to nothing came twice"


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("to", ["", "folder"])
def test_a_killed_process_loses_nothing(hub: FakeHub, home: Path, tmp_path: Path, to: str) -> None:
    body = b"GGUF" + random.Random(2).randbytes(24 * MIB)
    hub.repos["o/big"] = FakeRepo({"big.gguf": FakeFile(body)})
    where = str(tmp_path / to) if to else ""
    pick = random.Random(time.time_ns())
    kills = resumed = 0
    for _ in range(40):
        client = HubClient()
        ask = request(client, repo="o/big", to=where)
        if kills < 5:
            hub.fail("slow", "big.gguf", rate=24 * MIB)
            pid = client.pid
            assert pid is not None
            threading.Timer(pick.uniform(0.05, 0.6), kill, (pid,)).start()
        answer = client.call(ask)
        client.close()
        if isinstance(answer, Fetched):
            resumed = answer.resumed
            if kills >= 5:
                break
            for path in answer.paths:  # faster than the shot: again from the beginning
                Path(path).resolve().unlink()
            hub.sent.clear()
        else:
            assert answer.failure.kind == "died"
            kills += 1
    assert isinstance(answer, Fetched)
    assert Path(answer.paths[0]).read_bytes() == body
    assert resumed > 0
    # each kill may cost what was on its way between the sockets
    assert hub.sent["big.gguf"] < len(body) + kills * 16 * MIB


def test_stopping_keeps_the_part_and_cancelling_drops_it(hub: FakeHub, client: HubClient, cache: Path) -> None:
    for keep in (True, False):
        hub.fail("slow", "m-Q4_0", rate=MIB)
        ask = request(client)
        begun = threading.Event()
        answers: list[Any] = []

        def hear(answer: Any, begun: threading.Event = begun, answers: list[Any] = answers) -> None:
            answers.append(answer)
            if not isinstance(answer, Progress) or answer.done > MIB // 2:
                begun.set()

        client.ask(ask, hear)
        assert begun.wait(20)
        client.stop(ask.id, keep=keep)
        deadline = time.monotonic() + 20
        while not isinstance(answers[-1], Failed):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert answers[-1].failure.kind == "stopped"
        assert bool(list(cache.rglob("*.incomplete"))) is keep
        assert find([cache]) == []
    done = good(client)
    assert done.resumed == 0


def test_parts_of_a_split_model_come_together_or_not_at_all(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    names = [f"big-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    hub.repos["o/split"] = FakeRepo({name: FakeFile(BODY + name.encode()) for name in names})
    hub.fail("status", names[2], status=404)
    for to in ("", tmp_path / "folder"):
        hub.fail("status", names[2], status=404)
        assert bad(client, repo="o/split", to=to).kind == "not_found"
        assert find([Path(os.environ["HF_HOME"]) / "hub", tmp_path / "folder"]) == []
        hub.faults.clear()
    before = dict(hub.sent)
    done = good(client, repo="o/split", to=tmp_path / "folder")
    assert [Path(path).name for path in done.paths] == names
    assert hub.sent[names[0]] == before[names[0]], "the parts that were complete were kept"
    (model,) = find([tmp_path / "folder"])
    assert model.missing == 0


def test_wrong_bytes_are_never_published(hub: FakeHub, client: HubClient, cache: Path) -> None:
    hub.fail("rubbish", "m-Q4_0", times=99)
    said = bad(client)
    assert said.kind == "wrong_hash"
    assert find([cache]) == []
    hub.faults.clear()
    good(client)


def test_a_damaged_part_of_an_earlier_run_is_noticed_and_fetched_anew(
    hub: FakeHub, client: HubClient, cache: Path, one: FakeFile
) -> None:
    blobs = cache / "models--o--r" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{one.sha256}.incomplete").write_bytes(bytes(MIB))
    done = good(client)
    assert Path(done.paths[0]).read_bytes() == BODY
    assert done.resumed == 0


@pytest.mark.parametrize(
    ("kind", "expected"), [("short", "bad_answer"), ("long", "bad_answer"), ("html", "bad_answer")]
)
def test_another_length_or_a_page_is_refused(hub: FakeHub, client: HubClient, kind: str, expected: str) -> None:
    hub.fail(kind, "/cdn/" if kind == "html" else "m-Q4_0", times=99)
    said = bad(client)
    assert said.kind == expected
    hub.faults.clear()
    good(client)


@pytest.mark.parametrize("to", [False, True], ids=["cache", "folder"])
def test_what_is_here_is_not_read_before_the_hub_answers(
    hub: FakeHub, tmp_path: Path, cache: Path, one: FakeFile, monkeypatch: pytest.MonkeyPatch, to: bool
) -> None:
    """A download that waits for the network would read tens of GB at each try, and push weights out of RAM."""
    hashed: list[int] = []
    put = fetching.Hasher.put

    def counted(hasher: Any, piece: bytes) -> None:
        hashed.append(len(piece))
        put(hasher, piece)

    monkeypatch.setattr(fetching.Hasher, "put", counted)
    monkeypatch.setattr(fetching, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(fetching, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(web, "endpoint", lambda: hub.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))  # what it was when this process began is the user's
    remote = RemoteFile(name="m-Q4_0.gguf", bytes=one.size, sha256=one.sha256)
    ask = Fetch(id=1, repo="o/r", commit=COMMIT, files=(remote,), to=str(tmp_path) if to else "")
    (place,) = places(ask)
    place.part.parent.mkdir(parents=True, exist_ok=True)
    place.part.write_bytes(BODY[:MIB])

    told: list[Progress] = []
    hub.fail("status", "m-Q4_0", status=503, times=10**6)
    with pytest.raises(web.HubError) as caught:
        fetching.fetch(ask, told.append, Stops())
    assert caught.value.failure.kind == "server"
    assert hashed == []
    assert {(news.done, news.step) for news in told} == {(MIB, "retrying"), (MIB, "fetching")}
    assert len([path for _, path, _ in hub.seen if "m-Q4_0" in path]) == fetching.TRIES

    hub.faults.clear()
    done = fetching.fetch(ask, told.append, Stops())
    assert Path(done.paths[0]).read_bytes() == BODY
    assert sum(hashed) == len(BODY)
    assert (told[-1].done, hub.sent["m-Q4_0.gguf"]) == (len(BODY), len(BODY) - MIB)


def test_a_server_without_ranges_starts_again(hub: FakeHub, client: HubClient) -> None:
    hub.fail("cut", "m-Q4_0", after=MIB)
    hub.fail("no_range", "m-Q4_0", times=99)
    assert Path(good(client).paths[0]).read_bytes() == BODY


def test_a_full_disk_keeps_the_part_and_says_what_is_missing(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    sparse = tmp_path / "huge.gguf"
    with sparse.open("wb") as file:
        file.truncate(1 << 43)
    huge = FakeFile(path=sparse, _sha256="f" * 64)
    hub.repos["o/huge"] = FakeRepo({"huge.gguf": huge})
    said = bad(client, repo="o/huge")
    assert said.kind == "no_space"
    assert said.missing > 1 << 42
    assert hub.sent == {}, "the space is looked at before"


def test_two_at_once_fetch_it_once(hub: FakeHub, home: Path) -> None:
    hub.fail("slow", "m-Q4_0", rate=3 * MIB)
    clients = [HubClient(), HubClient()]
    asks = [request(client) for client in clients]
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda c=client, a=ask: answers.append(c.call(a)))
        for client, ask in zip(clients, asks, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for client in clients:
        client.close()
    assert all(isinstance(answer, Fetched) for answer in answers), answers
    assert hub.sent["m-Q4_0.gguf"] == len(BODY)


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_long_wait_that_the_hub_asks_for_is_told_and_can_be_ended(hub: FakeHub, client: HubClient) -> None:
    hub.fail("status", "m-Q4_0", status=429, headers={"Retry-After": "720"}, times=99)
    ask = request(client)
    answers: list[Any] = []
    client.ask(ask, answers.append)
    waits = lambda: [news.wait for news in answers if isinstance(news, Progress) and news.wait]  # noqa: E731
    until(lambda: len(waits()) >= 3)
    assert 700 < waits()[1] < waits()[0] <= 720, "it is said again while it lasts"
    assert any("asks to wait 12 min" in news.why for news in answers)
    client.stop(ask.id)
    until(lambda: isinstance(answers[-1], Failed))
    assert answers[-1].failure.kind == "stopped"
    assert len([path for _, path, _ in hub.seen if "m-Q4_0" in path]) == 1


def test_what_a_hub_asks_for_that_nobody_waits_for_ends_the_download(hub: FakeHub, client: HubClient) -> None:
    hub.fail("status", "m-Q4_0", status=429, headers={"Retry-After": "7300"}, times=99)
    said = bad(client)
    assert (said.kind, said.retry_after) == ("rate_limited", 7300)
    assert "2 h 01 min" in said.message


def test_a_download_that_waits_for_bytes_is_stopped_at_once(
    hub: FakeHub, tmp_path: Path, one: FakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "READ_SECONDS", 10**6)
    monkeypatch.setattr(web, "endpoint", lambda: hub.url)
    hub.limits["m-Q4_0.gguf"] = MIB
    remote = RemoteFile(name="m-Q4_0.gguf", bytes=one.size, sha256=one.sha256)
    ask = Fetch(id=1, repo="o/r", commit=COMMIT, files=(remote,), to=str(tmp_path))
    stops, caught = Stops(), list[web.HubError]()

    def run() -> None:
        try:
            fetching.fetch(ask, lambda _: None, stops)
        except web.HubError as error:
            caught.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    (place,) = places(ask)
    until(lambda: place.part.exists() and place.part.stat().st_size == MIB)
    stops.stop(keep=True)
    thread.join(60)
    assert [error.failure.kind for error in caught] == ["stopped"]
    assert place.part.stat().st_size == MIB


def warnings() -> list[str]:
    """What huggingface_hub says of its cache."""
    code = "from huggingface_hub import scan_cache_dir as s\nfor w in s().warnings: print(w)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("way", ["not there", "given up", "dropped later", "no space"])
def test_a_download_that_brought_nothing_leaves_nothing(
    hub: FakeHub, client: HubClient, cache: Path, tmp_path: Path, way: str
) -> None:
    for to in ("", tmp_path / "to"):
        ask = request(client, to=to)
        if way == "not there":
            hub.fail("status", "m-Q4_0", status=404, times=2)
            assert isinstance(client.call(ask), Failed)
        elif way == "no space":
            (file,) = ask.files
            huge = msgspec.structs.replace(file, bytes=1 << 60)
            assert isinstance(client.call(msgspec.structs.replace(ask, files=(huge,))), Failed)
        else:
            hub.limits["m-Q4_0.gguf"] = MIB
            answers: list[Any] = []
            client.ask(ask, answers.append)
            folder = tmp_path / "to" if to else cache
            until(lambda folder=folder: MIB in [part.stat().st_size for part in folder.rglob("*.incomplete")])
            if not to:
                assert warnings() == [], "while it comes"
            client.stop(ask.id, keep=way == "dropped later")
            until(lambda answers=answers: bool(answers) and isinstance(answers[-1], Failed))
            if way == "dropped later":
                assert warnings() == []
                drop = Drop(id=client.next_id(), repo=ask.repo, commit=ask.commit, files=ask.files, to=ask.to)
                assert isinstance(client.call(drop), Failed)
    assert [path for folder in (cache, tmp_path / "to") for path in folder.rglob("*") if path.name != ".locks"] == []


@pytest.mark.parametrize("body", [BODY, BODY[::-1]], ids=["the same", "another"])
def test_bytes_that_lie_where_a_link_belongs_are_checked_as_others_are(
    hub: FakeHub, client: HubClient, cache: Path, body: bytes
) -> None:
    """As huggingface_hub lays them where links cannot be made."""
    file = cache / "models--o--r/snapshots" / COMMIT / "m-Q4_0.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(body)
    done = good(client)
    assert done.paths == (str(file),)
    assert file.read_bytes() == BODY
    assert hub.sent.get("m-Q4_0.gguf", 0) == (0 if body == BODY else len(BODY))
    assert warnings() == []


def test_a_commit_pins_what_is_fetched(hub: FakeHub, client: HubClient, one: FakeFile) -> None:
    ask = request(client)
    hub.repos["o/r"].files["m-Q4_0.gguf"] = FakeFile(BODY[::-1])
    answer = client.call(ask)
    assert isinstance(answer, Failed)
    assert answer.failure.kind == "wrong_hash"
    assert "changed" in answer.failure.message
    assert COMMIT in next(path for _, path, _ in hub.seen if "resolve" in path)
