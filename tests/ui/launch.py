"""Opens the screen over the fake worker, for tests in a real pty: ``launch.py MODULES MODEL [WORKER ARGUMENT]...``.

At the end the names of the imported modules are written to the file MODULES.
"""

import sys
from pathlib import Path

from offtui.engine.session import Session
from offtui.monitor.sampler import Sampler
from offtui.options import Options
from offtui.store.chats.keeper import Keeper
from offtui.ui.app import run
from offtui.ui.ports import Engine, Listener, Ports
from tests.ui.harness import StillShelf

WORKER = Path(__file__).parents[1] / "fakes" / "worker.py"


def main(modules: str, model: str, *arguments: str) -> int:
    def engine(listener: Listener) -> Engine:
        return Session(listener, command=[sys.executable, str(WORKER), *arguments], spare=False)

    shelf = lambda listener: StillShelf((), listener)  # noqa: E731
    code = run(Options(model=model), Ports(engine, Sampler, shelf, chats=Keeper))
    Path(modules).write_text("\n".join(sys.modules))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
