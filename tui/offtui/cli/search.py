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
from offtui.hub.query import Query, parse_params, parse_query, with_size
from offtui.hub.wire import Answer, Failed, Found, GetInfo, Info, Sort
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
    add(
        "words",
        metavar="WORD",
        nargs="*",
        help="words of the name; also author:NAME, arch:NAME, license:ID, size:<8GiB, params:3B..9B",
    )
    add("--author", metavar="NAME", default="", help="only repositories of this owner")
    add("--arch", metavar="NAME", default="", help="only this architecture: llama, qwen3, gemma3")
    add("--license", metavar="ID", default="", help="only this licence: apache-2.0, mit")
    add("--size", metavar="SIZE", default="", help="a file of <8GiB or 4..8GiB; or, in parameters, 3B..9B, ..9B, 8B")
    add("--params", metavar="SIZE", default="", help="only so many parameters: <9B, 3B..9B, 8B")
    add("--sort", choices=get_args(Sort), default="downloads", help="by what (default downloads)")
    add("--limit", metavar="N", type=argument_type(_limit), default=20, help="repositories at most (default 20)")
    add("--json", action="store_true", help="write one JSON array, with the files of each")


def run(arguments: argparse.Namespace) -> int:
    """Search; the exit code."""
    query = _query(arguments)
    client = HubClient()
    try:
        answer = client.call(query.request(client.next_id(), arguments.sort, arguments.limit))
        if isinstance(answer, Failed):
            return report(answer.failure)
        assert isinstance(answer, Found)
        if arguments.json:
            _complain(answer)
            return _write_json(client, answer)
        sys.stdout.write(_text(answer))
        _complain(answer)
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
    lines: list[str] = []
    for repo in found.repos:
        downloads = f"{count_text(repo.downloads):>7} {'download ' if repo.downloads == 1 else 'downloads'}"
        likes = f"{count_text(repo.likes):>6} {'like ' if repo.likes == 1 else 'likes'}"
        what = f"{params_text(repo.n_params):>6}  {repo.arch or UNKNOWN:<12}"
        marks = "  gated" if repo.gated else "  private" if repo.private else ""
        suits = f"  {' '.join(repo.suits)}" if repo.suits else ""
        lines.append(f"{repo.name:<{width}}  {what} {downloads} {likes}  {repo.updated}{marks}{suits}")
    return "".join(line.rstrip() + "\n" for line in lines)


def _limit(text: str) -> int:
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or not 0 < int(text) <= MAX_LIMIT:
        raise UsageError(f"{text!r} is not a number from 1 to {MAX_LIMIT}")
    return int(text)


def _query(arguments: argparse.Namespace) -> Query:
    """What is asked for by words and options; an option goes before the word."""
    query = parse_query(arguments.words)
    if arguments.size:
        query = with_size(query, arguments.size)
    if arguments.params:
        query = msgspec.structs.replace(query, params=parse_params(arguments.params))
    named = {key: value for key in ("author", "arch", "license") if (value := getattr(arguments, key)[:100])}
    return msgspec.structs.replace(query, **named)


def _complain(found: Found) -> None:
    """Nothing, or not all."""
    if found.looked_at:
        several = f"{len(found.repos)} of the {found.looked_at}" if found.repos else f"None of the {found.looked_at}"
        complain(f"{several} that were looked at; more words narrow it.")
    elif not found.repos:
        complain("Nothing was found.")
