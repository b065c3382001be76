"""Names that people type for metrics: `FID` means every FID there is, `FID[lite0]` and `FID[inception]`."""

import re
from collections.abc import Iterable, Sequence
from itertools import filterfalse

from bench.api.errors import MetricError, UsageError, nearest
from bench.api.registry import METRICS
from bench.api.scores import named_by_alias

#: Stands for every method, data set, metric, PSNR or figure.
ALL = "all"
#: Stands where a method's name stands in the plan, the cache and the results, for the reference of pure-noise pictures
#: (bench/run/worker.py). It is no method: nobody can ask for it, and no table shows it as a row.
PURE_NOISE = "pure_noise"


def resolve_metrics(typed: str, known: Iterable[str]) -> list[str]:
    """The full names behind what was typed, as `metric_variants`; UsageError names the nearest one where it is none."""
    names = list(known)
    fitting = metric_variants(typed, names)
    if not fitting:
        raise UsageError(f"unknown metric '{typed}'{nearest(typed, names)}")
    return fitting


def metric_variants(typed: str, known: Iterable[str]) -> list[str]:
    """All full names that what was typed may stand for, in order; empty where there is none.

    That is the very name, else every one with a bracket after it (`FID`: `FID[inception]` and `FID[lite0]`).
    """
    names = sorted(known)
    return _variants(typed, names) or _variants(named_by_alias(typed), names)


def _variants(typed: str, names: Sequence[str]) -> list[str]:
    wanted = typed.lower()
    return [n for n in names if n.lower() == wanted] or [n for n in names if n.lower().startswith(f"{wanted}[")]


def _by_name(metric: str) -> bool:
    """Whether a metric is measured only where it is named; one that is broken is said to be so where it is built."""
    try:
        return METRICS.load(metric).by_name
    except MetricError:
        return False


_OWN_WEIGHTS = re.compile(r":weights=[^:+]+")


def option_in(spec: str, name: str) -> str | None:
    """The text of an option in a spec, None where it does not say it."""
    found = re.search(rf":{name}=([^:+]+)", spec)
    return found[1] if found else None


def own_weights(spec: str) -> str | None:
    """The name of the weights of somebody's own in a spec; None for the package's."""
    return option_in(spec, "weights")


_WEIGHTS = re.compile(r":weights=[^:+]+")


def by_training(specs: Iterable[str]) -> dict[str, list[str]]:
    """What further trainings of a method have in common (`oasis+fds` of `oasis+fds:weights=seed1`) -> their specs."""
    found: dict[str, list[str]] = {}
    for spec in dict.fromkeys(specs):
        found.setdefault(_WEIGHTS.sub("", spec), []).append(spec)
    return found


def base_name(spec: str) -> str:
    """`oasis` of `oasis+fds`, `gesco` of `gesco:steps=5`."""
    found = re.match(r"[A-Za-z0-9_]+", spec)
    return found[0] if found else spec


_SCHEME = re.compile(r":(?:link|uses)=[^:+]+")


def way_of(spec: str) -> str:
    """`oasis+digital` of `oasis+digital:link=16qam@1/2`: how a method sends, whatever its scheme and its budget."""
    return _SCHEME.sub("", spec)


_CARRIED = re.compile(r"\+digital|:(?:codec|header)=[^:+]+")


def carried(spec: str) -> str:
    """`oasis+fds` of `oasis+fds+digital:link=qpsk@0.4`: the method behind a way of sending."""
    return _CARRIED.sub("", way_of(spec))


def shipped_spec(spec: str) -> str:
    """A spec without the name of its weights: what it is called with the package's."""
    return _OWN_WEIGHTS.sub("", spec)


def metrics_asked(typed: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Full name of each metric asked for -> as it was typed, `all` among it; raises as `resolve_metrics`.

    `all` is every one that does not ask to be named.
    """
    names = list(known)
    asked: dict[str, str] = {}
    for one in typed:
        for name in filterfalse(_by_name, names) if one.casefold() == ALL else resolve_metrics(one, names):
            asked.setdefault(name, ALL if one.casefold() == ALL else one)
    return asked
