"""``python -m offtui`` is the ``offtui`` command."""

import sys

from offtui.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
