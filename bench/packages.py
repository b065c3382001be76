"""Whether this project's packages are the ones that Python finds under their names."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from bench.api.errors import BenchError

#: The packages beside `bench`. Their names are so common that a user's own files may have them.
BESIDE = ("methods", "metrics")


def check_packages() -> None:
    """BenchError, naming the file, where something else comes before one of this project's packages. Imports none."""
    here = Path(__file__).resolve().parents[1]
    for name in BESIDE:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise BenchError(f"this project's package `{name}` is not in {here}, where `bench` is: install it again")
        found = Path(spec.origin).resolve()
        if found.parents[1] != here or found.name != "__init__.py":
            raise BenchError(
                f"{spec.origin} hides this project's package `{name}`: rename it, or take its folder off Python's path "
                "(PYTHONPATH)"
            )
