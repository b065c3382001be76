"""What else differs between the two runs, so that a reader sees why numbers do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench.regress.model import Change
from bench.regress.text import plain
from bench.results.merge import about_scenes

if TYPE_CHECKING:
    import pandas as pd

PLAIN = ("python", "platform", "cpu", "devices", "jobs", "batch_size")


def list_changes(
    baseline: pd.DataFrame, rerun: pd.DataFrame, facts: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> list[Change]:
    """Differences of code, packages, machine, weights, options and channel; texts are printable and short. `baseline`
    and `rerun` hold the rows of the cells compared, `facts` the provenance of both, the baseline's first."""
    old, new = facts
    pairs: list[tuple[str, Any, Any]] = [("code", _commit(old), _commit(new))]
    pairs += [(key, old.get(key), new.get(key)) for key in PLAIN]
    pairs += [(name, was, now) for name, was, now in _of_mappings(old.get("packages"), new.get("packages"))]
    datasets = [str(name) for name in rerun["dataset"].unique()]
    for dataset in datasets:
        was, now = (_of_scenes(told, dataset) for told in facts)
        both = [set(frame[frame["dataset"] == dataset]["method"]) for frame in (baseline, rerun)]
        where = f" on {dataset}" if len(datasets) > 1 else ""
        found = [*_methods(was, now, sorted(both[0] & both[1])), *_metrics(was, now)]
        pairs += [(f"{what}{where}", then, today) for what, then, today in found]
    pairs += list(_channels(baseline, rerun))
    pairs.append(("seeds", _listed(baseline["seed"]), _listed(rerun["seed"])))
    return [Change(plain(what), _text(was), _text(now)) for what, was, now in pairs if was != now]


def _of_scenes(facts: Mapping[str, Any], dataset: str) -> Mapping[str, Any]:
    """What a provenance says of methods and metrics on a data set; one without lists of scenes, the same of all."""
    about = about_scenes(facts, dataset)
    if about is None:
        return facts
    return {**about, "weights_sha256": {s: identity.get("weights_sha256") for s, identity in about["methods"].items()}}


def _commit(facts: Mapping[str, Any]) -> str:
    commit = facts.get("commit")
    return f"{str(commit)[:12]}{' with changes' if facts.get('dirty') else ''}" if commit else "no commit known"


def _text(value: object) -> str:
    if value is None:
        return "unknown"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else plain(text, 120)


def _of_mappings(old: object, new: object) -> Iterator[tuple[str, Any, Any]]:
    """Differences of two mappings, key by key; anything that is no mapping counts as an empty one."""
    was, now = (x if isinstance(x, Mapping) else {} for x in (old, new))
    for key in dict.fromkeys([*was, *now]):
        if was.get(key) != now.get(key):
            yield str(key), was.get(key), now.get(key)


def _methods(old: Mapping[str, Any], new: Mapping[str, Any], specs: list[str]) -> Iterator[tuple[str, Any, Any]]:
    """Weights, and options and code version where both runs wrote them down."""
    for spec in specs:
        weights = [f.get("weights_sha256") for f in (old, new)]
        was, now = (w.get(spec) if isinstance(w, Mapping) else None for w in weights)
        yield f"weights of {spec}", was, now
        told = [f.get("methods") for f in (old, new)]
        before, after = (t.get(spec) if isinstance(t, Mapping) else None for t in told)
        if not isinstance(before, Mapping) or not isinstance(after, Mapping):
            continue
        for key, then, today in _of_mappings(before, after):
            if key == "options":
                for option, one, other in _of_mappings(then, today):
                    yield f"option {option} of {spec}", one, other
            elif key != "weights_sha256":
                yield f"{key} of {spec}", then, today


def _metrics(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What metrics that both measured say of themselves otherwise (protocol and weights are equal by now)."""
    was, now = old.get("metrics"), new.get("metrics")
    if not isinstance(was, Mapping) or not isinstance(now, Mapping):
        return
    for name in sorted(was.keys() & now.keys()):
        for key, then, today in _of_mappings(was[name], now[name]):
            yield f"{key} of {name}", then, today


def _channels(baseline: pd.DataFrame, rerun: pd.DataFrame) -> Iterator[tuple[str, Any, Any]]:
    """The noise behind each channel and PSNR of both."""

    def sigmas(frame: pd.DataFrame) -> dict[tuple[str, float], float]:
        first = frame.dropna(subset="psnr").drop_duplicates(["channel", "psnr"])
        return {(str(c), float(p)): s for c, p, s in zip(first["channel"], first["psnr"], first["sigma"], strict=True)}

    was, now = sigmas(baseline), sigmas(rerun)
    for channel, psnr in sorted(was.keys() & now.keys()):
        yield f"sigma of {channel}@{psnr:g}", was[channel, psnr], now[channel, psnr]


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(str(v) for v in sorted({int(v) for v in values}))
