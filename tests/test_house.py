"""The house itself: what ships, what is imported where, and that the README tells the truth about it."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.readme_keys import rows

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
    modules = "offtui.cli.main, offtui.ui.app, offtui.ui.application, offtui.engine.session, "
    modules += "offtui.gguf.library, offtui.models.shelf, offtui.hub.client, offtui.models.remote"
    code = f"import sys, {modules}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


def test_the_readmes_keys_are_the_commands_keys() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("<!-- keys: python -m tests.readme_keys -->\n")[1].split("\n<!-- /keys -->")[0]
    assert table == "\n".join(rows()), "run python -m tests.readme_keys and put its table in the README"


def test_the_readme_calls_what_ci_calls() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "exec ./tests/run" in ci
    assert "    tests/run\n" in (ROOT / "README.md").read_text(encoding="utf-8")
