"""`offtui ask`, over fake workers."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from offtui import paths
from offtui.cli.exits import EXIT_CODES
from offtui.store.catalogue import Catalogue
from offtui.store.measurements import FileId
from tests.engine.harness import FAKE, children, until

LAUNCHER = """\
import sys
from offtui.cli import ask
from offtui.cli.main import main
ask.WORKER_COMMAND = (sys.executable, *sys.argv[1].split("|"))
sys.exit(main(sys.argv[2:]))
"""
ENDLESS = f"{FAKE}|--pieces|100000|--pause|0.01"


def launch(*words: str, worker: str = str(FAKE), **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, worker, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def pipe_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_the_answer_is_on_stdout_and_notices_are_on_stderr(offtui):
    done = offtui("ask", "--model", "a.gguf", "What", "is", "this?")
    assert done.code == 0
    assert done.out == "word0 word1 word2 word3 word4 \n"
    assert done.err == "offtui: a noticedirty]52;c;QQ==\n"


def test_json_is_one_object_with_everything_in_it(offtui):
    done = offtui("ask", "--json", "--model", "a.gguf", "-ngl", "4", "--max-tokens", "2", "Hello")
    assert done.code == 0
    assert done.err == ""
    assert done.out.count("\n") == 1
    answer = done.json
    assert answer["text"] == "word0 word1 "
    assert answer["model"] == "a.gguf"
    assert answer["n_gpu_layers"] == {"asked": 4, "got": 4, "max": 13}
    cpu, rpc = answer["devices"]
    assert (cpu["name"], cpu["kind"]) == ("CPU", "cpu")
    assert (rpc["name"], rpc["weights"], rpc["kv"], rpc["compute"]) == ("RPC0", 4 << 20, 1 << 20, 1 << 20)
    assert answer["timings"] == {
        "load_ms": 250.0,
        "ttft_ms": 600.0,
        "prompt_tokens": 20,
        "reused_tokens": 5,
        "prompt_tps": 30.0,
        "tokens": 2,
        "tps": 0.5,
    }
    assert answer["stop"] == "end"
    assert answer["n_ctx"] == 4096


def test_a_file_that_is_not_the_recorded_one_is_said_before_it_is_loaded(offtui, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF")
    with contextlib.closing(Catalogue()) as catalogue:
        file = FileId.of(str(model))
        assert file is not None
        catalogue.keep_hash(file, "a" * 64)
    assert "SHA-256" not in offtui("ask", "--model", str(model), "hi").err
    model.write_bytes(b"GGUF+")
    done = offtui("ask", "--model", str(model), "hi")
    assert done.code == 0
    first = "offtui: m.gguf is not the file whose SHA-256 was recorded: it had 4 B and has 5 B."
    assert done.err.splitlines()[0] == first
    model.write_bytes(b"GGU!")
    os.utime(model, ns=(0, file.mtime_ns + 10**9))
    assert "m.gguf was written to since" in offtui("ask", "--model", str(model), "hi").err


def test_without_a_model_the_guide_answers(offtui):
    assert offtui("ask", "--json", "Hello").json["model"] == str(paths.guide_model())


def test_the_config_names_a_model_and_a_system_prompt(offtui, config_dir: Path):
    (config_dir / "config.toml").write_text('model = "/m/own.gguf"\nsystem_prompt = "Be brief."\n')
    assert offtui("ask", "--json", "Hello").json["model"] == "/m/own.gguf"


def test_a_broken_config_is_bad_usage(offtui, config_dir: Path):
    (config_dir / "config.toml").write_text("modle = 3\n")
    done = offtui("ask", "Hello")
    assert done.code == 2
    assert "modle" in done.err


@pytest.mark.parametrize("words", [("-",), ()])
def test_a_question_is_read_from_a_pipe(offtui, monkeypatch, words):
    pipe_in(monkeypatch, "¿Qué es esto?\xff".encode("latin-1"))
    assert offtui("ask", "--model", "a.gguf", *words).code == 0


def test_reasoning_is_kept_apart(offtui):
    assert offtui("ask", "--max-tokens", "2", "think").out == "word1 \n"
    answer = offtui("ask", "--json", "--max-tokens", "2", "think").json
    assert (answer["reasoning"], answer["text"]) == ("word0 ", "word1 ")


def test_what_a_model_writes_is_cleaned(offtui):
    done = offtui("ask", "--max-tokens", "1", "dirty")
    assert done.out == "word0dirty]52;c;QQ== \n"


@pytest.mark.parametrize("words", [("",), (" \n",)])
def test_an_empty_question_is_bad_usage(offtui, words):
    done = offtui("ask", *words)
    assert (done.code, done.err) == (2, "offtui: The question is empty.\n")


def test_no_question_at_a_terminal_is_bad_usage(offtui, monkeypatch):
    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    done = offtui("ask")
    assert done.code == 2
    assert "no question" in done.err


def test_bad_usage_is_one_line_and_2(offtui):
    for words in (("ask", "-ngl", "-1", "x"), ("ask", "--rpc", "x", "y"), ("frobnicate",), ("ask", "--nope", "x")):
        done = offtui(*words)
        assert done.code == 2
        assert done.out == ""
        assert done.err.startswith("offtui: ")
        assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("not_found", 3),
        ("permission", 3),
        ("not_gguf", 3),
        ("truncated", 3),
        ("unsupported", 3),
        ("no_tokenizer", 3),
        ("out_of_range", 2),
        ("out_of_memory", 4),
        ("rpc_unreachable", 1),
        ("internal", 1),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_failed_load_is_one_line_and_its_code(offtui, kind, code, form):
    done = offtui("ask", *form, "--model", f"load:{kind}", "Hello")
    assert done.code == code
    assert done.out == ""
    assert done.err == f"offtui: It failed: {kind} dirty]52;c;QQ==.\n"
    assert EXIT_CODES.get(kind, 1) == code


def test_a_prompt_that_is_too_long_is_said(offtui):
    done = offtui("ask", "--model", "a.gguf", "too", "long")
    assert done.code == 1
    assert "The prompt has 9000 tokens." in done.err


def test_a_worker_that_dies_in_the_answer_leaves_what_it_gave(offtui):
    done = offtui("ask", "--model", "piece:segv", "Hello")
    assert done.code == 1
    assert done.out == "word0 \n"
    assert "SIGSEGV" in done.err


def test_out_of_memory_in_decode_is_4(offtui):
    assert offtui("ask", "--model", "piece:oom-decode", "Hello").code == 4


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_it_with_the_worker_reaped(number, code):
    with launch("ask", "Hello", worker=ENDLESS) as process:
        assert process.stdout.read(6) == b"word0 "
        worker = psutil.Process(process.pid).children()[0]
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert process.returncode == code
        assert out.endswith(b"\n")
        assert err == b"offtui: a noticedirty]52;c;QQ==\n"
        assert not worker.is_running()


def test_ctrl_c_in_a_load_ends_it():
    with launch("ask", "--model", "progress:stall", "Hello") as process:
        until(lambda: psutil.Process(process.pid).children())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert process.returncode == 130
    assert children() == []


def test_nobody_reading_on_is_quiet():
    with launch("ask", "Hello", worker=ENDLESS) as process:
        assert process.stdout.read(6) == b"word0 "
        process.stdout.close()
        assert process.wait(20) == 141
        assert process.stderr.read() == b"offtui: a noticedirty]52;c;QQ==\n"


def test_an_answer_in_an_encoding_without_its_characters_does_not_fail():
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with launch("ask", "--json", "--model", "ñ.gguf", "Hello", env=env) as process:
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "ñ.gguf" in out.decode("utf-8")
