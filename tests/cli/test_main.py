"""The command's top: which subcommand, which failures, what it imports."""

import os
import pty
import subprocess
import sys

import pytest

from offtui import __version__
from offtui.cli.main import main


def test_version(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"offtui {__version__}\n"


def test_help_names_every_subcommand(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    for command in ("ask", "device", "doctor", "plan"):
        assert f"\n    {command} " in out


def test_the_screen_is_refused_without_a_terminal(offtui):
    done = offtui()
    assert done.code == 2
    assert done.err == "offtui: The screen needs a terminal; without one, use `offtui ask`.\n"


def test_the_screen_is_refused_on_a_dumb_terminal():
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "offtui"],
            env={**os.environ, "TERM": "dumb"},
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            timeout=20,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert b"offtui ask" in done.stderr


def test_parsing_imports_neither_textual_nor_llama_cpp():
    script = (
        "import sys; from offtui.cli.main import main; code = main(['-ngl', 'x']); "
        "heavy = {'textual', 'rich', 'llama_cpp', 'numpy', 'huggingface_hub', 'pynvml'} & set(sys.modules); "
        "sys.exit(f'{code} {heavy}' if heavy or code != 2 else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


def test_asking_imports_no_native_library_into_the_parent():
    script = (
        "import sys; from offtui.cli import ask; "
        "heavy = {'textual', 'llama_cpp', 'numpy', 'huggingface_hub'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
