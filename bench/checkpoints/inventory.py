"""What weights are there: `bench weights list` and `bench weights verify`."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

import bench.api.weights
from bench.api.errors import MethodError, UsageError, WeightsError, nearest, some
from bench.api.files import file_digest
from bench.api.method import MethodContext
from bench.api.registry import DATASETS, METHODS
from bench.api.scenes import facts_of
from bench.api.tensors import content_digest
from bench.api.weights import CARD, DIGEST_KEY, MANIFEST, read_metadata, record, weights_name
from bench.checkpoints.catalogue import COUNTER, PROFILE, Catalogue, Rows, compare, rows_of
from bench.checkpoints.importing import Health, remarks
from metrics.evaluators.published import LISTED

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Item:
    """One line of the list.

    `state`: installed (imported into a folder of the user's), packaged, own (trained, and used where it is named),
    unused (found by nothing as it lies there; `note` says why), or missing. `sha256` is the digest that the file
    records over its tensors and metadata, or that of the whole file where this project did not write it. `source`: the
    authors' file, or the training that made it. `command`: what to type to get a missing one, None where nobody
    publishes it.
    """

    name: str
    dataset: str | None
    size: tuple[int, int] | None
    state: str
    file: str
    path: str | None = None
    sha256: str | None = None
    source: str | None = None
    licence: str | None = None
    page: str | None = None
    download: str | None = None
    command: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Verified:
    """What re-reading one file gave: `notes` on what could not be checked, `problems` if it is damaged."""

    path: Path
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def inventory(catalogue: Catalogue, weights_dir: Path | None = None) -> list[Item]:
    """Every network of the catalogue, installed or missing, and every other weights file of the folders.

    Then what could be trained, and the published weights that metrics read as they are.
    """
    files: dict[str, tuple[Path, str]] = {}
    more = []
    for path, state in _files(_folders(weights_dir)):
        method = _parse(path.name)[0]
        if state == "own":  # a training of the user's own, in a folder that is its name
            own = path.parent.name
            use = f"{method}:weights={own}" if method in METHODS.names() else f"the evaluator own:{own}"
            more.append(_item(path, "own", f"use it as {use}"))
        elif path.name in files or (
            state == "installed" and path.parent != weights_dir and record(_metadata(path), CARD)
        ):
            reason = "another one comes before it" if path.name in files else "a training is used by name"
            use = f"move it to {path.parent / 'NAME'} and name it: {method}:weights=NAME"
            more.append(_item(path, "unused", f"not used, because {reason}; to use it, {use}"))
        else:
            files[path.name] = path, state
    items = []
    for entry in catalogue.entries:
        published = {"page": entry.page, "download": entry.download, "note": entry.note, "licence": entry.licence}
        if entry.file in files:
            path, state = files.pop(entry.file)
            facts = {**published, **_facts(path)}
            items.append(Item(entry.name, entry.dataset, entry.size, state, entry.file, str(path), **facts))
            continue
        command = entry.command(entry.download_name) if entry.public else None
        items.append(Item(entry.name, entry.dataset, entry.size, "missing", entry.file, command=command, **published))
    items += [_item(path, state) for _, (path, state) in sorted(files.items())]
    return [*items, *more, *_untrained(files), *_standard(weights_dir)]


def _item(path: Path, state: str, note: str | None = None) -> Item:
    """A file that is there, as its name and its metadata tell."""
    facts = _facts(path) | ({"note": note} if note else {})
    method, dataset, size = _parse(path.name)
    return Item(method, dataset, size, state, path.name, str(path), **facts)


def _standard(weights_dir: Path | None) -> Iterator[Item]:
    """The published weights behind metrics that are read as they are, without an import."""
    for one in LISTED:
        dataset = one.datasets[0] if len(one.datasets) == 1 else None
        path = one.find(weights_dir)
        if path is None:
            yield Item(
                one.name, dataset, None, "missing", one.file, licence="see its page", page=one.page,
                command=one.command, note=one.note,
            )  # fmt: skip
        else:
            digest = file_digest(path)
            yield Item(one.name, dataset, None, "installed", one.file, str(path), digest, source=one.page)


def _untrained(present: Container[str]) -> Iterator[Item]:
    """Methods whose embedded weights, on the scenes that the project renders, are in none of the folders."""
    for dataset in filter(lambda name: facts_of(name).rendered, DATASETS.built_in()):
        kind = facts_of(dataset)
        context = MethodContext(dataset, kind.label_space, *kind.default_size)
        for method in METHODS.names():
            name = weights_name(method, context)
            if name not in present and _method_rows(method, context) is not None:
                command = f"bench train {method} --dataset {dataset}"
                yield Item(method, dataset, kind.default_size, "missing", name, licence="Apache-2.0", command=command)


def verify(catalogue: Catalogue, names: Sequence[str] = (), weights_dir: Path | None = None) -> Iterator[Verified]:
    """Re-read weights files, all or those of the methods, evaluators or files in `names`: digest, rows, finiteness.

    UsageError for a name of which there is no file.
    """
    paths = [path for path, _ in _files(_folders(weights_dir))]
    known = {label for path in paths for label in _labels(path)}
    wanted = {name.casefold() for name in names}
    for name in names:
        if name.casefold() not in {label.casefold() for label in known}:
            raise UsageError(f"there is no weights file of '{name}'{nearest(name, sorted(known))}")
    for path in paths:
        if not names or {label.casefold() for label in _labels(path)} & wanted:
            yield verify_file(path, catalogue)


def verify_file(path: Path, catalogue: Catalogue) -> Verified:
    """Re-read one weights file, a tensor at a time."""
    notes, problems = [], []
    health, skeleton = Health(), {}
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})

            def tensors() -> Iterator[tuple[str, torch.Tensor]]:
                for key in sorted(file.keys()):
                    tensor = file.get_tensor(key)
                    skeleton[key] = tensor.to("meta")
                    health.look(key, tensor)
                    yield key, tensor

            digest = content_digest(tensors(), metadata)
    except (SafetensorError, OSError) as error:
        return Verified(path, (), (f"cannot be read: {error}",))
    if DIGEST_KEY not in metadata:
        notes.append("no digest is recorded")
    elif metadata[DIGEST_KEY] != digest:
        problems.append(f"its content has changed: digest {digest[:12]}, recorded {metadata[DIGEST_KEY][:12]}")
    if health.broken:
        problems.append(f"{len(health.broken)} tensor(s) hold NaN or infinity: {some(health.broken)}")
    problems += health.implausible()
    notes += remarks(record(metadata, MANIFEST))
    rows = _rows(path, metadata, catalogue)
    if rows is None:
        notes.append("no network to compare its rows with")
    else:
        found = compare(skeleton, rows)
        found.unexpected.extend(found.dropped)  # written by us, a file holds the network's rows and no other
        found.missing.extend(key for key in rows if key.endswith(COUNTER) and key not in skeleton)
        problems += [" ".join(line.split()) for line in found.details()]
    return Verified(path, tuple(notes), tuple(problems))


def _folders(weights_dir: Path | None) -> list[tuple[Path, str]]:
    """Folders of weights in the order in which they are searched, and the state of what lies there."""
    user = bench.api.weights.user_weights_dir()
    folders = [(weights_dir, "installed")] if weights_dir else []
    folders += [(place, "packaged") for place in bench.api.weights.PACKAGED]
    folders += [(user, "installed")]
    named = [place for place in (weights_dir, user) if place is not None and place.is_dir()]
    return [*folders, *((folder, "own") for place in named for folder in sorted(place.iterdir()) if folder.is_dir())]


def _files(folders: Sequence[tuple[Path, str]]) -> Iterator[tuple[Path, str]]:
    seen = set()
    for folder, state in folders:
        for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else ():
            if path.resolve() not in seen and path.is_file():  # a pipe of that name would be waited for
                seen.add(path.resolve())
                yield path, state


def _parse(name: str) -> tuple[str, str | None, tuple[int, int] | None]:
    """Method, data set and size (height, width) in a weights file's name, as far as it has them."""
    method, _, rest = name.removesuffix(".safetensors").partition("-")
    dataset, _, size = rest.partition("-")
    height, _, width = size.partition("x")
    whole = height.isdecimal() and width.isdecimal()
    return method, dataset or None, (int(height), int(width)) if whole else None


def _labels(path: Path) -> set[str]:
    """Names by which people may ask for a file."""
    return {path.name, path.stem, _parse(path.name)[0]}


def _metadata(path: Path) -> dict[str, str]:
    try:
        return read_metadata(path)
    except WeightsError:
        return {}


def _digest(path: Path) -> str | None:
    """The digest of a file that records none, None if it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = ((key, file.get_tensor(key)) for key in sorted(file.keys()))
            return content_digest(tensors, dict(file.metadata() or {}))
    except (SafetensorError, OSError):
        return None


def _facts(path: Path) -> dict[str, str]:
    """Digest, source and licence as a file's own metadata tells them."""
    metadata = _metadata(path)
    manifest, card = record(metadata, MANIFEST), record(metadata, CARD)
    source = None
    if manifest:
        source = f"{manifest.get('source')}, sha256 {str(manifest.get('source_sha256'))[:12]}"
    elif card:
        source = f"bench train, {card.get('steps')} steps, {card.get('date')}"
    facts = {
        "sha256": metadata.get(DIGEST_KEY) or _digest(path),
        "source": source or metadata.get("source"),
        "licence": manifest.get("licence") or card.get("licence") or metadata.get("licence"),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _rows(path: Path, metadata: Mapping[str, str], catalogue: Catalogue) -> Rows | None:
    """The rows that a file must have: of the catalogue's network, or of the method's that its name and profile tell."""
    profile = record(metadata, MANIFEST).get("profile") or record(metadata, CARD).get("profile")
    for entry in catalogue.entries:
        if entry.file == path.name and profile in (None, PROFILE):
            return entry.rows
    method, dataset, size = _parse(path.name)
    if method not in METHODS.names() or dataset not in DATASETS.names() or size is None:
        return None
    return _method_rows(
        method, MethodContext(dataset, DATASETS.load(dataset).label_space, *size, profile=profile or "embedded")
    )


def _method_rows(method: str, context: MethodContext) -> Rows | None:
    """The rows of a method's network, None for a method without one."""
    try:
        return rows_of(lambda: METHODS.load(method).build_network(context))
    except MethodError:
        return None
