"""The house itself: what ships, what is imported where, and that the README tells the truth about it."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

HEAVY = ("llama_cpp", "numpy", "huggingface_hub", "jinja2", "pynvml", "torch")


def test_the_wheel_ships_themes_and_guide_and_no_corpus(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for needed in ("offtui/themes/offtui.toml", "offtui/guide/guide.gguf", "offtui/ui/offtui.tcss", "offtui/py.typed"):
        assert needed in names
    assert not [name for name in names if "corpus/" in name or name.startswith("tests")]
    assert wheel.stat().st_size < 10_000_000


def test_the_screens_process_imports_nothing_heavy() -> None:
    code = "import sys, offtui.cli.main, offtui.ui.app, offtui.ui.application, offtui.engine.session, offtui.gguf.library\n"
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


def test_the_readme_names_every_key() -> None:
    from offtui.ui.commands import COMMANDS, keys_of

    table = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        keys = keys_of(command, {})
        if not keys and not command.slash:
            continue
        row = f"| {command.title} |"
        assert row in table, f"README lacks {command.id}: run python -m tests.readme_keys"


def test_the_readme_calls_what_ci_calls() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "exec ./tests/run" in ci
    assert "    tests/run\n" in (ROOT / "README.md").read_text(encoding="utf-8")
