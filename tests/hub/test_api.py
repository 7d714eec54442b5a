import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from offtui.hub import api
from offtui.hub.client import HubClient
from offtui.hub.web import HubError
from offtui.hub.wire import Answer, Failed, Found, GetInfo, GetReadme, Info, Looking, Range, Readme, Search
from offtui.units import GIB
from tests.fakes.hub import COMMIT, TOKEN, FakeFile, FakeHub, FakeRepo


def failure(answer: object) -> Any:
    assert isinstance(answer, Failed), answer
    return answer.failure


def search(client: HubClient, **more: Any) -> Found:
    answer = client.call(Search(id=client.next_id(), **more))
    assert isinstance(answer, Found), answer
    return answer


def info(client: HubClient, repo: str) -> Any:
    return client.call(GetInfo(id=client.next_id(), repo=repo))


def test_repositories_are_found_by_words_author_size_architecture_and_licence(hub: FakeHub, client: HubClient) -> None:
    small = {"architecture": "llama", "total": 8_000_000_000, "context_length": 4096}
    hub.repos["ann/Llama-8B-GGUF"] = FakeRepo(downloads=5, likes=9, gguf=small, tags=["gguf", "license:mit"])
    hub.repos["bob/Llama-70B-GGUF"] = FakeRepo(downloads=50, gguf={"architecture": "llama", "total": 70 * 10**9})
    hub.repos["bob/Qwen-GGUF"] = FakeRepo(downloads=20, gguf={"architecture": "qwen3", "total": 4 * 10**9}, gated=True)
    hub.repos["bob/no-gguf"] = FakeRepo(tags=[])

    def names(**more: Any) -> list[str]:
        return [repo.name for repo in search(client, **more).repos]

    assert names() == ["bob/Llama-70B-GGUF", "bob/Qwen-GGUF", "ann/Llama-8B-GGUF"]
    assert names(words="llama gguf", sort="likes") == ["ann/Llama-8B-GGUF", "bob/Llama-70B-GGUF"]
    assert names(author="ann") == ["ann/Llama-8B-GGUF"]
    assert names(arch="QWEN3") == ["bob/Qwen-GGUF"]
    assert names(params=Range(0, 10**10)) == ["bob/Qwen-GGUF", "ann/Llama-8B-GGUF"]
    assert names(license="MIT") == ["ann/Llama-8B-GGUF"]
    assert names(limit=1) == ["bob/Llama-70B-GGUF"]
    first = search(client, author="ann").repos[0]
    assert (first.license, first.n_params, first.n_ctx_train, first.updated) == ("mit", 8 * 10**9, 4096, "2026-08-01")
    assert search(client, words="qwen").repos[0].gated


def test_repositories_are_found_by_the_size_of_a_file(hub: FakeHub, client: HubClient, tmp_path: Path) -> None:
    def sparse(size: int) -> FakeFile:
        path = tmp_path / f"{size}.gguf"
        with path.open("wb") as file:
            file.truncate(size)
        return FakeFile(path=path, _sha256=f"{size:064x}")

    quants = {"m-Q2_K.gguf": sparse(3 * GIB), "m-Q4_K_M.gguf": sparse(5 * GIB), "m-Q8_0.gguf": sparse(9 * GIB)}
    hub.repos["o/eight"] = FakeRepo({**quants, "mmproj-m.gguf": sparse(7 * GIB)}, downloads=3)
    split = {f"m-Q4_0-0000{n}-of-00002.gguf": sparse(4 * GIB) for n in (1, 2)}
    hub.repos["o/split"] = FakeRepo(split, downloads=2)
    hub.repos["o/huge"] = FakeRepo(quants, downloads=9, gguf={"total": 10**12})
    hub.repos["o/gone"] = FakeRepo(quants, downloads=1)
    hub.fail("status", "o/gone", status=404, times=99)
    found = search(client, size=Range(4 * GIB, 8 * GIB))
    assert [(repo.name, repo.suits) for repo in found.repos] == [("o/eight", ("Q4_K_M",)), ("o/split", ("Q4_0",))]
    assert not [path for _, path, _ in hub.seen if "o/huge" in path], "of a trillion parameters no file is so small"
    assert [repo.name for repo in search(client, size=Range(6 * GIB, 0), limit=1).repos] == ["o/huge"]


def test_what_the_hub_cannot_narrow_is_looked_for_on_further_pages(hub: FakeHub, client: HubClient) -> None:
    for n in range(250):
        hub.repos[f"o/m{n}"] = FakeRepo(downloads=1000 - n, gguf={"architecture": "llama" if n % 100 else "rare"})
    found = search(client, arch="rare")
    assert [repo.name for repo in found.repos] == ["o/m0", "o/m100", "o/m200"]
    assert found.looked_at == 0, "all of them"
    assert [path.count("cursor=") for _, path, _ in hub.seen] == [0, 1, 1]
    hub.repos |= {f"o/x{n}": FakeRepo(downloads=1) for n in range(1000)}
    assert search(client, arch="rare").looked_at == 1000


def test_a_repository_tells_its_files_with_sizes_and_hashes(hub: FakeHub, client: HubClient) -> None:
    big, small = FakeFile(b"GGUF" * 100), FakeFile(b"GGUF", lfs=False)
    hub.repos["o/r"] = FakeRepo({"big-Q4_0.gguf": big, "small.gguf": small, "README.md": FakeFile(b"x", lfs=False)})
    found = info(client, "o/r")
    assert isinstance(found, Info)
    assert found.commit == COMMIT
    assert [(file.name, file.bytes, file.sha256, file.etag) for file in found.files] == [
        ("big-Q4_0.gguf", 400, big.sha256, big.sha256),
        ("small.gguf", 4, "", small.blob),
    ]


def test_names_that_would_leave_a_folder_or_act_on_a_terminal_are_refused(hub: FakeHub, client: HubClient) -> None:
    evil = [
        "../up.gguf", "/abs.gguf", "a/../../b.gguf", "esc\x1b[2J.gguf", "nul\0.gguf", "a//b.gguf", "x" * 2000 + ".gguf",
        "back\\slash.gguf", "bidi\u202e.gguf",
    ]  # fmt: skip
    hub.repos["o/r"] = FakeRepo({name: FakeFile(b"GGUF") for name in [*evil, "fine.gguf"]})
    found = info(client, "o/r")
    assert [file.name for file in found.files] == ["fine.gguf"]
    assert found.refused == len(evil)


@pytest.mark.parametrize(
    "name", ["..", "../../etc/passwd", "a/../b", "o/r\x1b[2J", "o" * 10_000, "o/" + "r" * 10_000, "x", ""]
)
def test_names_of_repositories_are_checked(client: HubClient, hub: FakeHub, name: str) -> None:
    said = failure(info(client, name))
    assert said.kind == "bad_name"
    assert len(said.message) < 300
    assert "\x1b" not in said.message
    assert hub.seen == []


def test_a_hundred_thousand_files_are_bounded_and_a_repository_without_ggufs_is_empty(
    hub: FakeHub, client: HubClient
) -> None:
    file = FakeFile(b"GGUF")
    hub.repos["o/many"] = FakeRepo({f"m-{n}.gguf": file for n in range(6000)})
    hub.repos["o/none"] = FakeRepo({"model.safetensors": file})
    assert len(info(client, "o/many").files) == 5000
    assert info(client, "o/none").files == ()


def test_a_readme_is_plain_text(hub: FakeHub, client: HubClient) -> None:
    hub.repos["o/r"] = FakeRepo(
        readme="---\nlicense: mit\n---\n# Title\n\n\x1b]52;c;AAAA\x07<div align='center'>![img](http://x)</div>\n"
        "See [the paper](http://evil) [@click=app.quit]x[/]\n\n\n\n<!-- hidden -->a &lt;b&gt; &#27;[2J"
    )
    answer = client.call(GetReadme(id=client.next_id(), repo="o/r"))
    assert isinstance(answer, Readme)
    assert answer.text == "# Title\n\n]52;c;AAAA\n\nSee the paper [@click=app.quit]x[/]\n\na <b> [2J"
    hub.repos["o/r"].readme = ""
    assert client.call(GetReadme(id=client.next_id(), repo="o/r")) == Readme(id=client.next_id() - 1, text="")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 404}, "not_found"),
        ({"kind": "status", "status": 403}, "forbidden"),
        ({"kind": "status", "status": 429, "headers": {"Retry-After": "7"}}, "rate_limited"),
        ({"kind": "status", "status": 500}, "server"),
        ({"kind": "status", "status": 503}, "server"),
        ({"kind": "html"}, "bad_answer"),
        ({"kind": "loop", "times": 100}, "bad_answer"),
    ],
)
def test_every_failure_is_one_clear_sentence(hub: FakeHub, client: HubClient, fault: dict[str, Any], kind: str) -> None:
    hub.repos["o/r"] = FakeRepo()
    hub.fail(**fault)
    said = failure(info(client, "o/r"))
    assert said.kind == kind
    assert "\n" not in said.message
    assert "Error" not in said.message


def test_no_network_and_offline_are_said_at_once(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port}")
    gone = HubClient()
    assert failure(gone.call(Search(id=1))).kind == "no_network"
    gone.close()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = HubClient()
    said = failure(offline.call(Search(id=1)))
    assert said.kind == "offline"
    assert "HF_HUB_OFFLINE" in said.message
    offline.close()
    assert hub.seen == []


def test_private_and_gated_repositories_want_the_users_token_and_it_goes_nowhere_else(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, client: HubClient
) -> None:
    hub.repos["o/private"] = FakeRepo({"m.gguf": FakeFile(b"GGUF")}, private=True)
    said = failure(info(client, "o/private"))
    assert said.kind == "not_found"
    assert "log in" in said.advice
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    known = HubClient()
    answer = info(known, "o/private")
    known.close()
    assert isinstance(answer, Info)
    assert TOKEN.encode() not in msgspec.json.encode(answer)


def test_a_process_that_is_killed_is_said_and_started_anew(hub: FakeHub, client: HubClient) -> None:
    import os
    import signal
    import threading

    hub.repos["o/r"] = FakeRepo()
    hub.fail("hang", "/api/models/", rate=20)
    client.call(Search(id=client.next_id()))
    pid = client.pid
    assert pid is not None
    threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()
    assert failure(info(client, "o/r")).kind == "died"
    assert isinstance(info(client, "o/r"), Info)
    assert client.pid != pid


def test_a_search_says_how_far_it_is(hub: FakeHub, client: HubClient) -> None:
    for n in range(20):
        hub.repos[f"o/r{n:02}"] = FakeRepo({"m-Q4_0.gguf": FakeFile(b"x" * (n + 1))}, downloads=100 - n)
    said: list[Looking] = []
    answer = client.call(Search(id=client.next_id(), size=Range(1, 10)), looking=said.append)
    assert isinstance(answer, Found)
    assert len(answer.repos) == 10
    assert all(f":{hub.port}" in looking.host for looking in said)
    assert [(looking.looked_at, looking.opened, looking.found) for looking in said] == [
        (0, 0, 0), (20, 0, 0), (20, 8, 8), (20, 16, 10),
    ]  # fmt: skip


def test_an_answer_without_end_is_not_kept(hub: FakeHub, client: HubClient) -> None:
    hub.fail("endless", "/api/models", times=2)
    assert failure(client.call(Search(id=client.next_id()))).kind == "bad_answer"
    assert "without end" in failure(info(client, "o/r")).message


def test_a_search_that_nobody_waits_for_asks_no_more(hub: FakeHub) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(HubError) as raised:
        api.search(Search(id=1), lambda _: None, stop)
    assert raised.value.failure.kind == "stopped"


@pytest.mark.parametrize("way", ["give_up_all", "close"])
def test_whoever_waits_for_a_hub_that_is_silent_is_let_go(hub: FakeHub, client: HubClient, way: str) -> None:
    hub.fail("hang", "/api/models", rate=600)
    answers: list[Answer] = []
    asked = threading.Event()
    thread = threading.Thread(
        target=lambda: answers.append(client.call(Search(id=1), looking=lambda _: asked.set(), seconds=600)),
        daemon=True,
    )
    thread.start()
    assert asked.wait(120)
    getattr(client, way)()
    thread.join(20)  # the request itself ends after 30 s
    assert [failure(answer).kind for answer in answers] == ["stopped"]
    if way == "close":
        assert failure(client.call(Search(id=2), seconds=600)).kind == "stopped"
