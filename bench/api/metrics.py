"""Finding metrics by name: the entry-point group `bench.metrics`, the built-in ones and third parties' alike."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from bench.api.aliases import ALIASES
from bench.api.metric import Metric, MetricContext, MetricError, MetricFault

GROUP = "bench.metrics"


def metric_names() -> list[str]:
    """Names of all registered metrics, sorted; nothing is imported."""
    return sorted(_registered())


def match_name(asked: str, names: Iterable[str]) -> str:
    """The one of `names` that `asked` means: exact, else in another case, else without its bracket (`fid`).

    `FID` means `FID[lite0]` where that is the only name that starts so; whoever prints a value prints the full name.
    MetricError with the nearest name where nothing or more than one name fits.
    """
    names = sorted(names)
    asked = ALIASES.get(asked.casefold(), asked)
    if asked in names:
        return asked
    folded = asked.casefold()
    for form in (str, _without_bracket):
        fitting = [name for name in names if form(name).casefold() == folded]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise MetricError(f"`{asked}` could be {' or '.join(f'`{name}`' for name in fitting)}: name one of them")
    near = difflib.get_close_matches(folded, [name.casefold() for name in names], n=1, cutoff=0.4)
    hint = next((f"did you mean `{name}`? " for name in names if near and name.casefold() == near[0]), "")
    raise MetricError(f"there is no metric `{asked}`; {hint}known: {', '.join(names) or 'none'}")


def metric_class(name: str) -> type[Metric]:
    """The class behind a metric's name, written as `match_name` allows.

    MetricError for an unknown name and for an entry point that does not load or is no Metric; that one names the
    package at fault. Other packages' entry points are not touched, so they cannot be in the way.
    """
    registered = _registered()
    if not registered:
        raise MetricError("no metric is registered: install the project (`pip install -e .`), its metrics come with it")
    points = registered[match_name(name, registered)]
    if len(points) > 1:
        packages = " and ".join(sorted(_package(point) for point in points))
        raise MetricError(f"`{points[0].name}` is registered by {packages}: uninstall one of them")
    return _load(points[0])


def create_metric(name: str, context: MetricContext) -> Metric:
    """The metric of that name, ready to measure; MetricError as `metric_class`, or because it does not fit, and
    MetricFault where its constructor breaks, or it calls itself by another name."""
    kind = metric_class(name)
    try:
        metric = kind(context)
    except MetricError:
        raise
    except (Exception, SystemExit) as error:
        raise MetricFault(f"`{kind.name}` cannot be built: {type(error).__name__}: {error}") from error
    if metric.name not in _registered():
        raise MetricFault(
            f"`{name}` calls itself `{metric.name}`, which is not registered: its `name` has to be `{name}`"
        )
    return metric


def is_ours(name: str) -> bool:
    """Whether a metric comes with the benchmark; nothing is imported."""
    points = _registered().get(name, [])
    return bool(points) and all(point.module.partition(".")[0] == "metrics" for point in points)


def _registered() -> dict[str, list[EntryPoint]]:
    """Entry points by name. A package found twice on the path (a checkout and its install) counts once."""
    found: dict[str, dict[tuple[str, str], EntryPoint]] = defaultdict(dict)
    for point in entry_points(group=GROUP):
        found[point.name].setdefault((_package(point), point.value), point)
    return {name: list(points.values()) for name, points in found.items()}


def _load(point: EntryPoint) -> type[Metric]:
    at_fault = f"metric `{point.name}` of package {_package(point)} ({point.value})"
    try:
        loaded = point.load()
    except (Exception, SystemExit) as error:  # a third party's module may fail in any way while it is imported
        raise MetricFault(f"{at_fault} cannot be loaded: {type(error).__name__}: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Metric)):
        raise MetricError(f"{at_fault} is not a subclass of bench.api.metric.Metric")
    return loaded


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown"


def _without_bracket(name: str) -> str:
    return name.split("[", 1)[0]
