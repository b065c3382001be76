"""What a method's page says besides numbers: configuration, weights, licence, how to cite.

It comes from the results' provenance, the method registry, the weights files that lie on this machine (only where
their digest is the one in the provenance) and `methods.toml`. A submission tells its own.
"""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from bench.api.errors import MethodError
from bench.api.files import file_digest
from bench.api.names import base_name, own_weights
from bench.api.registry import METHODS
from bench.api.specs import method_defaults, parse_spec
from bench.api.weights import CARD, MANIFEST, METHOD_WEIGHTS, read_record, user_weights_dir
from bench.results.merge import identity_of

if TYPE_CHECKING:
    from bench.leaderboard.board import Board
    from bench.leaderboard.submission import Submission
    from bench.results.files import Run

#: What a modifier of a spec string adds to a title.
MODIFIER_TITLES = {"+fds": " + FDS", "-nofds": " without FDS"}
#: What it adds to the description.
MODIFIER_WORDS = {
    "+fds": "Here behind GESCO's sender and FDS block.",
    "-nofds": "Here without the FDS block at the receiver.",
}


@dataclass(frozen=True)
class WeightsFacts:
    """The weights behind a method's numbers on one data set, with facts of how they were `trained`.

    `licence` and `source` are None where the file is not on this machine.
    """

    dataset: str
    sha256: str
    licence: str | None
    source: str | None
    trained: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class About:
    """A method for people; `authors`, `licence`, `provenance` are a submission's, `paper`, `code` web addresses."""

    name: str
    title: str
    summary: str
    submitted: bool
    variant_of: str | None
    authors: tuple[str, ...]
    paper: str | None
    code: str | None
    licence: str | None
    citation: str | None
    options: tuple[tuple[str, str], ...]
    options_note: str
    weights: tuple[WeightsFacts, ...]
    provenance: tuple[tuple[str, str], ...]


def about_methods(board: Board) -> dict[str, About]:
    """All methods of a board, in its order."""
    return {
        name: _of_submission(board.submissions[name]) if name in board.submissions else about_result(name, board.runs)
        for name in board.methods
    }


@lru_cache(maxsize=1)
def _known() -> dict[str, dict[str, str]]:
    return tomllib.loads((files("bench.leaderboard") / "methods.toml").read_text(encoding="utf-8"))


def citation_of(method: str) -> str:
    """The BibTeX entry of a built-in method."""
    return _known()[method]["citation"].strip()


def paper_of(method: str) -> str:
    """The web address of a built-in method's paper."""
    return _known()[method]["paper"]


def _plain(value: Any) -> str:
    return {"True": "yes", "False": "no", "None": "none"}.get(str(value), str(value))


def _pairs(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((key, _plain(value)) for key, value in values.items())


def about_result(spec: str, runs: Sequence[Run]) -> About:
    """A method of the results."""
    title, summary, variant_of, defaults = _registered(spec)
    identities = list(_identities(spec, runs))
    as_run = {dataset: one["options"] for dataset, one in identities if "options" in one}
    digests = dict.fromkeys(
        (dataset, one["weights_sha256"]) for dataset, one in identities if one.get("weights_sha256")
    )
    known = next((_known()[name] for name in (base_name(spec), variant_of) if name in _known()), {})
    note = "as run" if as_run else "defaults of the installed version: these results are older than the record of them"
    options = _gathered(as_run) if as_run else defaults
    if "guidance" in options:
        note += "; guidance is the s of the published code, one more than that of the GESCO paper's Eq. 13"
    return About(
        spec, title, known.get("summary", summary), False, variant_of, (), known.get("paper"), None, None,
        known.get("citation", "").strip() or None, _pairs(options), note,
        tuple(_weights_file(spec, *one) for one in digests), (),
    )  # fmt: skip


def _identities(spec: str, runs: Sequence[Run]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A method's identity behind its results on each data set."""
    for run in runs:
        for dataset in map(str, run.frame[run.frame["method"] == spec]["dataset"].unique()):
            yield dataset, identity_of(run.facts, dataset, spec) or {}


def _gathered(by_dataset: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Options in words: once where they are the same on all data sets, else each with its data set."""
    names = dict.fromkeys(key for options in by_dataset.values() for key in options)
    found = {}
    for name in names:
        values = {dataset: _plain(options[name]) for dataset, options in by_dataset.items() if name in options}
        alike = len(set(values.values())) == 1
        found[name] = next(iter(values.values())) if alike else ", ".join(f"{v} ({d})" for d, v in values.items())
    return found


def _registered(spec: str) -> tuple[str, str, str | None, Mapping[str, Any]]:
    """Title, first sentence of the documentation, method that it varies, and options, as far as it is installed."""
    try:
        parsed = parse_spec(spec)
        cls = METHODS.load(parsed.name)
    except MethodError:
        return spec, "", None, {}
    rest = spec.removeprefix(parsed.name)
    title = cls.title
    summary = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split()).replace("`", "")
    for modifier, words in MODIFIER_TITLES.items():
        if modifier in rest:
            title, rest = title + words, rest.replace(modifier, "")
            summary = f"{summary} {MODIFIER_WORDS[modifier]}"
    changed = ", ".join(part.replace("=", " ") for part in rest.split(":") if part)
    return (
        f"{title} ({changed})" if changed else title,
        summary,
        cls.variant_of,
        {**method_defaults(cls), **parsed.options},
    )


def _weights_file(spec: str, dataset: str, digest: str) -> WeightsFacts:
    """Facts in the weights file of that digest, where it is on this machine."""
    name, user = base_name(spec), user_weights_dir()
    own = own_weights(spec)
    for folder in (user / own,) if own else (METHOD_WEIGHTS, user):
        for path in folder.glob(f"{name}-{dataset}-*.safetensors"):
            if file_digest(path) == digest:
                with safe_open(path, framework="pt") as file:
                    manifest = json.loads((file.metadata() or {}).get(MANIFEST, "{}"))
                card = read_record(path, CARD)
                source = manifest.get("source") or (f"bench train, {card.get('date')}" if card else None)
                return WeightsFacts(
                    dataset, digest, manifest.get("licence") or card.get("licence"), source, _trained(card)
                )
    return WeightsFacts(dataset, digest, None, None, ())


def _trained(card: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if not card.get("steps"):
        return ()
    facts = {
        "Training": f"{card['steps']:,} steps, {card.get('images_seen', 0):,} images, seed {card.get('seed')}",
        "Training time": f"{card['seconds'] / 60:.0f} minutes on {card.get('device')}" if card.get("seconds") else None,
        "Training commit": (card.get("code") or {}).get("commit"),
    }
    return tuple((key, str(value)) for key, value in facts.items() if value)


def _of_submission(submission: Submission) -> About:
    method, provenance = submission.data["method"], submission.data["provenance"]
    digest = method.get("weights_sha256")
    datasets = dict.fromkeys(row["dataset"] for row in submission.data["results"])
    weights = (
        tuple(WeightsFacts(dataset, digest, method["licence"], None, ()) for dataset in datasets) if digest else ()
    )
    facts = {
        "Commit of gesco-bench": provenance["commit"] + (" (with changes)" if provenance.get("dirty") else ""),
        "Date": provenance["date"],
        "Command": provenance["command"],
        "Devices": ", ".join(provenance["devices"]),
        "Versions": ", ".join(f"{name} {version}" for name, version in provenance["packages"].items()),
    }
    return About(
        submission.name, method["title"], method.get("description", ""), True, None, tuple(method["authors"]),
        method.get("paper"), method.get("code"), method["licence"], method.get("citation"),
        _pairs(method.get("options", {})), "as submitted", weights, tuple(facts.items()),
    )  # fmt: skip
