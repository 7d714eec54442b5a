"""Writing the prompt in the user's own editor: ``$VISUAL``, ``$EDITOR``, else what there is."""

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from offtui.errors import UsageError
from offtui.text import clean, clean_line

_FALLBACKS = ("sensible-editor", "nano", "vim", "vi")


def command() -> list[str]:
    """The editor's program and options.

    Raises:
        UsageError: there is none, or what the variable says cannot be run.
    """
    for variable in ("VISUAL", "EDITOR"):
        words = os.environ.get(variable, "").strip()
        if not words:
            continue
        try:
            parts = shlex.split(words)
        except ValueError as error:
            raise UsageError(f"${variable} is {clean_line(words, 80)!r}, which cannot be run: {error}.") from error
        if not parts or shutil.which(parts[0]) is None:
            raise UsageError(f"${variable} is {clean_line(words, 80)!r}, and there is no such program.")
        return parts
    for name in _FALLBACKS:
        if shutil.which(name) is not None:
            return [name]
    raise UsageError("No editor was found; set $EDITOR to one.")


def edit(parts: list[str], text: str) -> str:
    """Have ``text`` edited in the terminal, which must be free for it; what was saved, cleaned.

    Raises:
        UsageError: the editor failed, or what it left cannot be read. Nothing is lost then: ``text`` is what counts.
    """
    with tempfile.TemporaryDirectory(prefix="offtui-") as folder:
        file = Path(folder) / "prompt.md"
        file.write_text(text, encoding="utf-8")
        try:
            code = subprocess.run([*parts, str(file)], check=False).returncode
            if code != 0:
                raise UsageError(f"{clean_line(parts[0], 60)} ended with {code}; the text stays as it was.")
            edited = file.read_text(encoding="utf-8")
        except OSError as error:
            name = clean_line(parts[0], 60)
            raise UsageError(f"{name} cannot be used: {clean_line(error.strerror or str(error))}.") from error
        except UnicodeError as error:
            raise UsageError("What the editor saved is not UTF-8; the text stays as it was.") from error
    return clean(edited.replace("\r\n", "\n").replace("\r", "\n")).rstrip("\n")
