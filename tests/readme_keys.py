"""``python -m tests.readme_keys``: print the README's table of keys, made from the commands."""

from offtui.ui.commands import COMMANDS
from offtui.ui.keys import keys_of


def rows() -> list[str]:
    """The table, a line each."""
    lines = ["| action | keys | command | where |", "|---|---|---|---|"]
    for command in COMMANDS:
        keys = " ".join(f"`{key}`" for key in keys_of(command, {}))
        slash = f"`/{command.slash} {command.argument}`".replace(" `", "`") if command.slash else ""
        if keys or slash:
            lines.append(f"| {command.title} | {keys} | {slash.replace('|', 'or')} | {command.where.value} |")
    return lines


if __name__ == "__main__":
    print("\n".join(rows()))
