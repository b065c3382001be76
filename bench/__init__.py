"""The harness: scenes, channel, runner, results, tables, plots, the command `bench`, and `import bench`.

```python
import bench

results = bench.run(methods=["gesco", "oasis+fds"], psnr=[10], datasets="streets", scenes=64)
results.table("mIoU")
results.compare("gesco", "oasis+fds")
```
"""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import bench.run as _run

if TYPE_CHECKING:
    from bench.session import Figures, Results, Shown, load, run, score

__all__ = ["Figures", "Results", "Shown", "load", "run", "score"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # what computes is imported when it is first used
        return getattr(import_module("bench.session"), name)
    raise AttributeError(f"module 'bench' has no attribute '{name}'")


class _Callable(ModuleType):
    """The package `bench.run`, which is also what people call: `bench.run(...)`."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """As `bench.session.run`, which says what it takes."""
        return import_module("bench.session").run(*arguments, **named)

    @property
    def __signature__(self) -> inspect.Signature:
        """That of `bench.session.run`, for notebooks and editors."""
        return inspect.signature(import_module("bench.session").run)


_run.__class__ = _Callable
