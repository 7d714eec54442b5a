import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from offtui.engine.state import Phase
from offtui.protocol.codec import FrameReader, encode
from offtui.recorder import address
from offtui.recorder.client import Follower, OtherVersionError, ask_state
from offtui.recorder.news import Answer, Ask, News
from offtui.recorder.server import Server
from tests.recorder.scenes import Show


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "run" / "offtui"


@pytest.fixture
def show() -> Show:
    show = Show()
    show.load(0.0)
    return show


@pytest.fixture
def server(show: Show, place: Path) -> Iterator[Server]:
    server = Server(show.tape, lambda: (show.state, 4711), place)
    assert server.start() == ""
    yield server
    server.close()


class Heard:
    """What a follower is told."""

    def __init__(self) -> None:
        self.news: list[News | None] = []
        self.problems: list[str] = []
        self._come = threading.Condition()

    def told(self, news: News | None) -> None:
        with self._come:
            self.news.append(news)
            self._come.notify_all()

    def problem(self, text: str) -> None:
        with self._come:
            self.problems.append(text)
            self._come.notify_all()

    def count(self, count: int) -> None:
        with self._come:
            assert self._come.wait_for(lambda: len(self.news) + len(self.problems) >= count, 20)


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_the_folder_and_the_socket_are_the_users_alone(server: Server, place: Path) -> None:
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    path = place / f"{os.getpid()}.sock"
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    server.close()
    assert not path.exists()
    assert not any(thread.name == "offtui server" for thread in threading.enumerate())


def test_a_folder_that_others_could_read_is_closed_to_them(show: Show, place: Path) -> None:
    place.mkdir(parents=True)
    place.chmod(0o755)
    server = Server(show.tape, lambda: (show.state, None), place)
    assert server.start() == ""
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    server.close()


def test_a_folder_that_others_could_exchange_is_not_used(show: Show, place: Path) -> None:
    place.parent.mkdir()
    place.parent.chmod(0o777)
    server = Server(show.tape, lambda: (show.state, None), place)
    assert "Others could put another folder" in server.start()
    server.close()
    (place.parent / "elsewhere").mkdir()
    place.rmdir()
    place.symlink_to(place.parent / "elsewhere")
    place.parent.chmod(0o700)
    server = Server(show.tape, lambda: (show.state, None), place)
    assert "belongs to somebody else" in server.start()
    server.close()


def test_a_long_path_is_served_all_the_same(show: Show, tmp_path: Path) -> None:
    place = tmp_path / ("long" * 30) / "offtui"
    place.parent.mkdir()
    server = Server(show.tape, lambda: (show.state, None), place)
    assert server.start() == ""
    assert ask_state(place=place) == show.state
    server.close()


def test_the_state_is_told_once_to_who_asks(server: Server, show: Show, place: Path) -> None:
    assert ask_state(place=place) == show.state
    assert ask_state(os.getpid(), place) == show.state
    assert ask_state(1, place) is None


def test_nobody_runs(place: Path) -> None:
    assert ask_state(place=place) is None


def test_a_socket_that_nobody_serves_is_removed_and_the_next_one_asked(server: Server, show: Show, place: Path) -> None:
    gone, older = _died(place), _died(place)
    os.utime(gone, (2e9, 2e9))
    os.utime(older, (1e9, 1e9))
    another = place / f"{os.getppid()}.sock"  # a number that somebody else has got since
    gone.rename(another)
    assert ask_state(place=place) == show.state
    assert [path.name for path in place.iterdir()] == [f"{os.getpid()}.sock"], "the older one too, though not asked"


def test_a_process_with_a_number_of_another_container_is_not_taken_for_dead(server: Server, place: Path) -> None:
    elsewhere = place / "2147483646.sock"
    (place / f"{os.getpid()}.sock").rename(elsewhere)
    assert address.running(place) == [2147483646]
    assert elsewhere.exists()


def _died(place: Path) -> Path:
    """The socket of an offtui that was killed."""
    script = "import pathlib, sys, os, signal\nfrom offtui.recorder import address\n"
    script += "address.listen(pathlib.Path(sys.argv[1]), os.getpid())\nos.kill(os.getpid(), signal.SIGKILL)"
    process = subprocess.Popen([sys.executable, "-c", script, str(place)])
    assert process.wait(60) == -signal.SIGKILL
    return place / f"{process.pid}.sock"


def test_a_follower_gets_the_past_and_what_comes(server: Server, show: Show, place: Path, heard: Heard) -> None:
    follower = Follower(heard.told, heard.problem, os.getpid(), place)
    follower.start()
    heard.count(1)
    first = heard.news[0]
    assert first is not None
    assert first.state == show.state
    assert first.worker == 4711
    assert first.backlog is not None
    assert first.backlog.entries.marks == show.tape.history.marks()
    for turn in (1, 2, 3):
        show.answer(10.0 * turn, turn)
        server.ring()
        heard.count(1 + turn)
    told = [mark for news in heard.news[1:] if news is not None for mark in news.entries.marks]
    assert tuple(told) == show.tape.history.marks()[2:]
    assert [answer.number for news in heard.news[1:] if news for answer in news.entries.answers] == [1, 2, 3]
    server.close()
    heard.count(5)
    assert heard.news[-1] is None, "the end is told"
    follower.stop()


def test_a_follower_waits_for_one_to_begin(show: Show, place: Path, heard: Heard) -> None:
    script = (
        "import sys, pathlib\n"
        "from offtui.recorder.server import Server\n"
        "from tests.recorder.scenes import Show\n"
        "show = Show(); show.load(0.0)\n"
        "server = Server(show.tape, lambda: (show.state, None), pathlib.Path(sys.argv[1]))\n"
        "assert server.start() == ''\n"
        "sys.stdin.read(); server.close()\n"
    )
    follower = Follower(heard.told, heard.problem, place=place)
    follower.start()
    with subprocess.Popen([sys.executable, "-c", script, str(place)], stdin=subprocess.PIPE) as process:
        heard.count(1)
        assert heard.news[0] is not None
        assert heard.news[0].state.phase is Phase.READY
        process.kill()
        heard.count(2)
        assert heard.news[1] is None
    follower.stop()
    assert heard.problems == []


def _first_word(place: Path, word: bytes) -> list[Answer]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(place / f"{os.getpid()}.sock"))
        connection.sendall(word)
        reader, got = FrameReader[Answer](Answer), list[Answer]()
        while data := connection.recv(65536):
            got += reader.feed(data)
        return got


def test_another_version_is_refused_in_words(server: Server, place: Path) -> None:
    (answer,) = _first_word(place, encode(Ask(version=999)))
    assert answer.news is None
    assert answer.refused is not None


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff....", b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x05\xa5hello"])
def test_garbage_is_hung_up_on_and_the_next_one_served(server: Server, show: Show, place: Path, garbage: bytes) -> None:
    assert _first_word(place, garbage) == []
    assert ask_state(place=place) == show.state


def test_who_answers_nonsense_is_told_to_be_of_another_version(place: Path) -> None:
    listener = address.listen(place, os.getpid())

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"\x00\x00\x00\x05\xa5hello")

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(OtherVersionError):
        ask_state(place=place)
    thread.join()
    listener.close()


def test_one_who_does_not_read_holds_nobody_up(server: Server, show: Show, place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(place / f"{os.getpid()}.sock"))
        lazy.sendall(encode(Ask(follow=True)))
        for turn in range(1, 30):
            show.answer(10.0 * turn, turn)
            server.ring()
        assert ask_state(place=place) == show.state


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_hung_up_on(server: Server, show: Show, place: Path, tmp_path: Path) -> None:
    for folder in (place, place.parent, tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | 0o011)
    path = place / f"{os.getpid()}.sock"
    path.chmod(0o666)  # as if the modes had failed: the credentials still count
    script = (
        "import os, socket, sys\n"
        "os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "try:\n    s.sendall(bytes.fromhex(sys.argv[2])); print(len(s.recv(100)))\n"
        "except OSError: print(0)\n"
    )
    word = encode(Ask()).hex()
    command = [sys.executable, "-I", "-c", script, str(path), word]
    got = subprocess.run(command, capture_output=True, text=True, check=True)
    assert got.stdout.strip() == "0"
    assert ask_state(place=place) == show.state
