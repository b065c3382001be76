"""Which code is running: the reruns of one state of the code must never answer for another.

A cell's key names a method's declared version, options and weights. Whoever edits a method and forgets the version
would be told by the cache that nothing has changed, so `bench regress` keeps a cache for each state of the code.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.api.provenance import code_provenance

OWN = ("bench", "methods", "metrics")


def _files(package: str) -> Iterator[tuple[str, Path]]:
    """Every Python file of an imported top-level package or module, with a name that does not depend on its place."""
    module = importlib.import_module(package)
    if hasattr(module, "__path__"):
        for folder in module.__path__:
            for file in sorted(Path(folder).rglob("*.py")):
                yield f"{package}/{file.relative_to(folder).as_posix()}", file
    elif module.__file__ is not None:
        yield f"{package}.py", Path(module.__file__)


def code_digest(modules: Iterable[str] = ()) -> str:
    """SHA-256 over the source of this project and of the packages that hold `modules` (dotted names; third parties'
    methods and metrics), and over the versions of the packages that pictures and numbers depend on."""
    whole = hashlib.sha256(repr(sorted(code_provenance()["packages"].items())).encode())
    for package in sorted({*OWN, *(module.partition(".")[0] for module in modules)}):
        for name, file in _files(package):
            whole.update(f"\n{name} {hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    return whole.hexdigest()
