"""Trees of small files such as the kernel shows under ``/sys`` and ``/proc``."""

from collections.abc import Mapping
from pathlib import Path


def write(root: Path, files: Mapping[str, object]) -> Path:
    """Write each value as the text of the file of that path; the root."""
    for name, value in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return root
