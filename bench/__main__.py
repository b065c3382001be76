"""`python -m bench`, the command `bench`; `torchrun ... -m bench train ...` needs it."""

from __future__ import annotations

from bench.cli import main

if __name__ == "__main__":
    main()
