"""`python -m bench`, the command `bench`; `torchrun ... -m bench train ...` needs it."""

import sys
from contextlib import suppress
from pathlib import Path


def leave_current_folder() -> None:
    """Take the current folder, which `python -m` puts first, off Python's path, as it is for the command.

    A `metrics.py` in it is in nobody's way then. A checkout that is run from its own folder keeps it.
    """
    here = Path(__file__).absolute().parents[1]
    with suppress(OSError):  # a current folder that was deleted
        if not sys.flags.safe_path and Path(sys.path[0]).absolute() == Path.cwd() != here:
            del sys.path[0]


if __name__ == "__main__":
    leave_current_folder()
    from bench.cli import main

    main()
