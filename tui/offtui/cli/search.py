"""``offtui search``: repositories of the hub that have GGUFs."""

import argparse
import queue
import re
import sys
from typing import Any, Final, get_args

import msgspec

from offtui.cli.commands import Commands
from offtui.cli.exits import complain
from offtui.cli.hub_exits import report
from offtui.cli.options import argument_type
from offtui.errors import UsageError
from offtui.gguf.names import parse_quant
from offtui.hub.client import HubClient
from offtui.hub.wire import Answer, Failed, Found, GetInfo, Info, Search, Sort
from offtui.units import UNKNOWN, count_text, params_text

MAX_LIMIT: Final = 100


def add_parser(commands: Commands) -> None:
    """Add ``search`` to the ``offtui`` command."""
    parser = commands.add(
        "search",
        run,
        help="search the Hugging Face hub for GGUFs",
        description="Searches the hub for repositories with GGUFs. HF_ENDPOINT, HF_HUB_OFFLINE, proxies and the token "
        "of `hf auth login` count.",
    )
    add = parser.add_argument
    add("words", metavar="WORD", nargs="*", help="words of the name")
    add("--author", metavar="NAME", default="", help="only repositories of this owner")
    add("--arch", metavar="NAME", default="", help="only this architecture: llama, qwen3, gemma3")
    add("--license", metavar="ID", default="", help="only this licence: apache-2.0, mit")
    add("--size", metavar="A..B", type=argument_type(_sizes), default=(0, 0), help="parameters: 3B..9B, ..9B, 30B..")
    add("--sort", choices=get_args(Sort), default="downloads", help="by what (default downloads)")
    add("--limit", metavar="N", type=argument_type(_limit), default=20, help="repositories at most (default 20)")
    add("--json", action="store_true", help="write one JSON array, with the files of each")


def run(arguments: argparse.Namespace) -> int:
    """Search; the exit code."""
    client = HubClient()
    try:
        low, high = arguments.size
        answer = client.call(
            Search(
                id=client.next_id(),
                words=" ".join(arguments.words)[:300],
                author=arguments.author[:100],
                arch=arguments.arch,
                license=arguments.license,
                min_params=low,
                max_params=high,
                sort=arguments.sort,
                limit=arguments.limit,
            )
        )
        if isinstance(answer, Failed):
            return report(answer.failure)
        assert isinstance(answer, Found)
        if arguments.json:
            return _write_json(client, answer)
        sys.stdout.write(_text(answer))
        if not answer.repos:
            complain("Nothing was found.")
        return 0
    finally:
        client.close()


def _write_json(client: HubClient, found: Found) -> int:
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    names: dict[int, str] = {}
    for repo in found.repos:
        id = client.next_id()
        names[id] = repo.name
        client.ask(GetInfo(id=id, repo=repo.name), answers.put)
    infos: dict[str, Info] = {}
    for _ in found.repos:
        answer = answers.get()
        if isinstance(answer, Info):
            infos[names[answer.id]] = answer
        elif isinstance(answer, Failed):
            complain(f"{names[answer.id]}: {answer.failure.message}")
    value: list[dict[str, Any]] = [
        {
            "repo": repo.name,
            "downloads": repo.downloads,
            "likes": repo.likes,
            "gated": repo.gated,
            "files": [
                {"name": file.name, "bytes": file.bytes, "quant": parse_quant(file.name) or None}
                for file in (infos[repo.name].files if repo.name in infos else ())
            ],
        }
        for repo in found.repos
    ]
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    return 0


def _text(found: Found) -> str:
    width = max((len(repo.name) for repo in found.repos), default=0)
    lines = [
        f"{repo.name:<{width}}  {params_text(repo.n_params):>6}  {repo.arch or UNKNOWN:<12} "
        f"{count_text(repo.downloads):>7} downloads {count_text(repo.likes):>6} likes  {repo.updated}"
        + ("  gated" if repo.gated else "")
        for repo in found.repos
    ]
    return "".join(line.rstrip() + "\n" for line in lines)


def _limit(text: str) -> int:
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or not 0 < int(text) <= MAX_LIMIT:
        raise UsageError(f"{text!r} is not a number from 1 to {MAX_LIMIT}")
    return int(text)


def _sizes(text: str) -> tuple[int, int]:
    low, dots, high = text.partition("..")
    if not dots:
        raise UsageError(f"{text!r} is not a range of parameters; write for instance 3B..9B, ..9B or 30B..")
    return _parameters(low), _parameters(high)


def _parameters(text: str) -> int:
    if not text:
        return 0
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([KMBT]?)", text, re.ASCII | re.IGNORECASE)
    if match is None:
        raise UsageError(f"{text!r} is not a number of parameters; write for instance 8B or 500M")
    return int(float(match[1]) * {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}[match[2].upper()])
