"""Methods, metrics, data sets and channels by name: the benchmark's own and those of other distributions alike.

Each kind has a group of entry points (`[project.entry-points."bench.metrics"]` in a distribution's pyproject.toml).
Names are known without importing anything, and one that is loaded imports nothing but itself, so that a distribution
that is broken is in nobody else's way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bench.api.channel import Channel
from bench.api.errors import (
    DataError,
    DataFault,
    MethodError,
    MethodFault,
    MetricError,
    MetricFault,
    UsageError,
    in_words,
    known_name,
)
from bench.api.method import Method

if TYPE_CHECKING:
    from bench.api.metric import Metric
    from bench.api.scenes import SceneSource

T = TypeVar("T")
#: The top-level packages of this project.
OWN = ("bench", "methods", "metrics")


@lru_cache(maxsize=8)
def _points(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points by name, sorted. A distribution found twice on the path (a checkout and its install) counts once."""
    found: dict[str, dict[tuple[str, str], EntryPoint]] = defaultdict(dict)
    for point in entry_points(group=group):
        found[point.name].setdefault((_distribution(point), point.value), point)
    return {name: tuple(found[name].values()) for name in sorted(found)}


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"


@dataclass(frozen=True)
class Registry(Generic[T]):
    """One kind of part, `what` in messages.

    `base` is the class that all of the kind derive from, as `module:name`, because importing it may take long. `error`
    is raised for what cannot be had, and `fault`, one of them, where the part's own code broke.
    """

    group: str
    what: str
    base: str
    error: type[Exception]
    fault: type[Exception]
    #: Name -> what gives the class, of those that are in no distribution (bench/api/unpackaged.py).
    unpackaged: dict[str, Callable[[], type[T]]] = field(default_factory=dict, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _by_group, (self.group,)

    def names(self) -> list[str]:
        """All registered names, sorted; nothing is imported."""
        return sorted([*_points(self.group), *self.unpackaged])

    def is_ours(self, name: str) -> bool:
        """Whether that name comes with the benchmark, and with nothing else; nothing is imported."""
        points = _points(self.group).get(name, ())
        return bool(points) and all(point.module.partition(".")[0] in OWN for point in points)

    def built_in(self) -> list[str]:
        """Names that come with the benchmark, sorted; nothing is imported."""
        return [name for name in self.names() if self.is_ours(name)]

    def find(self, typed: str) -> str:
        """The registered name that was typed, whatever its case; `error` names the nearest one. Nothing is imported."""
        names = self.names()
        if not names:
            raise self.error(f"no {self.what} is registered: install the project (`pip install -e .`)")
        return known_name(typed, names, self.what, error=self.error)

    def load(self, name: str) -> type[T]:
        """The class behind a registered name, in any case.

        Raises `error` for an unknown name, one that several distributions register, and what is not of the kind;
        `fault` where it cannot be imported or calls itself by another name. Distributions at fault are named.
        """
        name = self.find(name)
        if name in self.unpackaged:
            return self.unpackaged[name]()
        points = _points(self.group)[name]
        where = " and ".join(sorted(_distribution(point) for point in points))
        if len(points) > 1:
            raise self.error(f"{self.what} '{name}' is registered by {where}: uninstall one of them")
        value = points[0].value
        try:
            loaded = points[0].load()
        except (Exception, SystemExit) as error:  # anyone's module may fail in any way while it is imported
            told = in_words(error)
            raise self.fault(f"{self.what} '{name}' of {where} cannot be imported ({value}): {told}") from error
        at_fault = f"{self.what} '{name}' of {where} ({value})"
        if not (isinstance(loaded, type) and issubclass(loaded, resolve_name(self.base))):
            raise self.error(f"{at_fault} is not a subclass of {self.base.replace(':', '.')}")
        if getattr(loaded, "name", name) != name:
            raise self.fault(f"{at_fault} calls itself '{loaded.name}': its `name` has to be '{name}'")  # type: ignore[attr-defined]
        return loaded

    def build(self, name: str, *arguments: Any, called: str = "") -> T:
        """An instance of the class behind a registered name, for messages `called` so.

        Raises as `load`, `error` as the constructor does, and `fault` where the constructor breaks.
        """
        kind = self.load(name)
        try:
            return kind(*arguments)
        except self.error:
            raise
        except (Exception, SystemExit) as error:
            raise self.fault(f"'{called or name}' cannot be built: {in_words(error)}") from error


METHODS: Registry[Method] = Registry("bench.methods", "method", "bench.api.method:Method", MethodError, MethodFault)
METRICS: Registry[Metric] = Registry("bench.metrics", "metric", "bench.api.metric:Metric", MetricError, MetricFault)
DATASETS: Registry[SceneSource] = Registry(
    "bench.datasets", "data set", "bench.api.scenes:SceneSource", DataError, DataFault
)
CHANNELS: Registry[Channel] = Registry("bench.channels", "channel", "bench.api.channel:Channel", UsageError, UsageError)
REGISTRIES: tuple[Registry[Any], ...] = (METHODS, METRICS, DATASETS, CHANNELS)


def _by_group(group: str) -> Registry[Any]:
    """The registry of this process: a worker is not sent another one."""
    return next(registry for registry in REGISTRIES if registry.group == group)
