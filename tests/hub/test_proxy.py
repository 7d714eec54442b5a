"""Proxies from the environment: everything goes through them, and what they refuse is said."""

from pathlib import Path

import pytest

from offtui.hub.client import HubClient
from offtui.hub.wire import Failed, Fetch, Fetched, GetInfo, Info
from tests.fakes.hub import FakeFile, FakeHub, FakeRepo
from tests.fakes.proxy import FakeProxy

BODY = b"GGUF" + bytes(300_000)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_hub_that_only_the_proxy_reaches(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    hub.repos["o/r"] = FakeRepo({"m-Q4_0.gguf": FakeFile(BODY)})
    with FakeProxy("hub.test", hub.port) as proxy:
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.test")
        monkeypatch.setenv(name, proxy.url)
        client = HubClient()
        info = client.call(GetInfo(id=client.next_id(), repo="o/r"))
        assert isinstance(info, Info), info
        ask = Fetch(id=client.next_id(), repo="o/r", commit=info.commit, files=info.files, to=str(tmp_path / "to"))
        answer = client.call(ask)
        client.close()
    assert isinstance(answer, Fetched), answer
    assert Path(answer.paths[0]).read_bytes() == BODY
    assert any(seen.startswith("GET http://hub.test/api/models/o/r") for seen in proxy.seen)
    assert any(seen.startswith("GET ") and "/cdn/" in seen for seen in proxy.seen), "the bytes too"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_what_the_proxy_refuses_is_said(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with FakeProxy("hub.test", 9) as proxy:
        monkeypatch.setenv("HF_ENDPOINT", "https://hub.test")
        monkeypatch.setenv(name, proxy.url)
        client = HubClient()
        answer = client.call(GetInfo(id=client.next_id(), repo="o/r"))
        client.close()
    assert isinstance(answer, Failed), answer
    assert answer.failure.kind == "no_network"
    assert "proxy" in answer.failure.message
    assert proxy.seen[0] == "CONNECT hub.test:443"


def test_a_proxy_that_is_not_there_is_thought_of(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{free_port}")
    client = HubClient()
    answer = client.call(GetInfo(id=client.next_id(), repo="o/r"))
    client.close()
    assert isinstance(answer, Failed), answer
    assert answer.failure.kind == "no_network"
    assert "proxy" in answer.failure.advice
    assert "secret" not in str(answer)
    assert hub.seen == []
