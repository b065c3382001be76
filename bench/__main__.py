"""`python -m bench`, the command `bench`; `torchrun ... -m bench train ...` needs it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def leave_current_folder() -> None:
    """Take the current folder, which `python -m` puts first, off Python's path: a `metrics.py` or `random.py` in it is
    then in nobody's way, as it is not in the command's. A checkout that is run from its own folder keeps it."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with suppress(OSError):  # a current folder that was deleted
        if not sys.flags.safe_path and os.path.abspath(sys.path[0]) == os.getcwd() != here:
            del sys.path[0]


if __name__ == "__main__":
    leave_current_folder()
    from bench.cli import main

    main()
