"""The pictures of a run: originals, what reached the receiver, and every method's pictures of a few scenes.

The one way in for sheets, figures, the site and reports of regressions.

Pictures come from the cells of the run. What the run's cache does not have (committed results have no pictures at all)
is computed through the ordinary plan and runner for the few scenes of the figure, and kept beside the figures. What
reached the receiver is in no cache: it is sent again, through the same channel with the same noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.api.errors import BenchError, MethodError, UsageError, nearest
from bench.api.files import Entry, open_entry
from bench.api.method import Method, MethodContext
from bench.api.names import PURE_NOISE, shipped_spec
from bench.api.registry import METHODS
from bench.api.scenes import SceneArrays, facts_of, stack
from bench.api.seeding import channel_stream
from bench.api.specs import build_method, parse_spec
from bench.channels.registry import read_channel
from bench.config import DataSection
from bench.data.registry import open_dataset
from bench.pictures.cells import Place, cached_cells, paint_labels, strongest_class
from bench.results.merge import about_scenes
from bench.results.request import Part, Request, computed_again
from bench.results.tidy import scenes_of
from bench.run.cell import cell_path, read_picture
from bench.run.plan import Cell, Plan, make_plan
from bench.run.setting import method_setting, without_weights
from bench.run.worker import one_thread
from methods.common.semantic.frontend import SemanticMethod

if TYPE_CHECKING:
    import numpy as np


def main_methods(part: Part) -> list[str]:
    """The methods that are no variants (`+fds`, options, arms), or all: a row of pictures has room for few."""

    def is_main(spec: str) -> bool:
        spec = shipped_spec(spec)  # weights of one's own make no variant
        if any(sign in spec for sign in "+-:"):
            return False
        try:
            return METHODS.load(spec).variant_of is None
        except MethodError:  # not installed here: its pictures may be in the cache all the same
            return True

    return [m for m in part.methods if is_main(m)] or part.methods


class Album:
    """Scenes of one part of the results, at the run's size and with its first seed.

    `ids` are the scenes, `notes` say what differs from the results.
    """

    def __init__(self, request: Request, part: Part, number: int) -> None:
        """`number` scenes from the run's first one on, where the request does not choose.

        UsageError for a scene that the run did not have; DataError where the data set cannot be read.
        """
        self.request, self.part = request, part
        self.dataset, self.split = str(part.first("dataset")), str(part.first("split"))
        self.seed = int(part.first("seed"))
        about = about_scenes(request.facts, self.dataset, int(part.first("scene_count")))
        if about is None:
            raise BenchError(
                f"the provenance of {request.folder} does not say how {self.dataset} was opened: run again"
            )
        self.about: dict[str, Any] = about
        root = Path(about["root"]) if about["root"] else None
        self.source = open_dataset(about["opened_as"], root, tuple(about["size"]), resize=about.get("resize", "spade"))
        self.space = self.source.label_space
        self.notes: list[str] = []
        if facts_of(self.dataset).rendered:
            today = self.source.fingerprint(self.split, self.run_ids)
            if about["fingerprint"] != today:
                self.notes.append("The renderer has changed since the results were measured: its scenes are today's.")
        asked = request.scenes if request.scenes is not None else number
        self.ids = self.run_ids[:asked] if isinstance(asked, int) else list(asked)
        for scene in self.ids:
            if scene not in self.run_ids:
                raise UsageError(f"the run had no scene '{scene}' of {self.dataset}{nearest(scene, self.run_ids)}")
        self._arrays: dict[str, SceneArrays] = {}
        self._pictures: dict[tuple[str, float, str], np.ndarray] = {}
        self._methods: dict[str, Method] = {}

    @cached_property
    def run_ids(self) -> list[str]:
        """All scenes of the run, in its order."""
        rows = self.part.frame
        return scenes_of(rows[rows["method"] != PURE_NOISE])

    def __getitem__(self, scene: str) -> SceneArrays:
        if scene not in self._arrays:
            self._arrays[scene] = self.source.load(self.split, scene)
        return self._arrays[scene]

    def labels(self, scene: str) -> np.ndarray:
        """The scene's labels in their colours, (H, W, 3) uint8."""
        return paint_labels(self[scene].labels, self.space)

    def cached(self, spec: str, psnr: float, scene: str) -> np.ndarray | None:
        """A method's picture, (H, W, 3) uint8, None where `look` did not find it."""
        return self._pictures.get((spec, psnr, scene))

    def picture(self, spec: str, psnr: float, scene: str) -> np.ndarray:
        """A method's picture, (H, W, 3) uint8; `gather` has to have been called for it."""
        return self._pictures[spec, psnr, scene]

    def look(self, places: Iterable[Place]) -> None:
        """Find the pictures of all scenes of the album that the run's cache has."""
        for place in places:
            for entry in cached_cells(self.request.folder, self.request.facts, self.dataset, self.part.channel, place):
                key = entry.manifest["key"]
                if key["seed"] == self.seed and len(key["scenes"]) == len(self.run_ids):
                    self._keep(entry, place)

    def look_for_all(self) -> bool:
        """`look` for every method at every PSNR; whether anything is there. BenchError for scenes that changed."""
        self.look((spec, psnr) for spec in self.part.methods for psnr in self.part.psnrs)
        if self.places and self.source.fingerprint(self.split, self.run_ids) != self.about["fingerprint"]:
            root = self.about["root"]
            where = f"files below {root} are" if root else "its renderer is"
            raise BenchError(f"the scenes of {self.dataset} changed since the run ({where} others now); run it again")
        return bool(self.places)

    @property
    def places(self) -> dict[Place, None]:
        """What pictures are there of, in the results' order."""
        there = {(spec, psnr) for spec, psnr, _ in self._pictures}
        return dict.fromkeys(p for m in self.part.methods for psnr in self.part.psnrs if (p := (m, psnr)) in there)

    @property
    def specs(self) -> list[str]:
        """The methods that pictures are there of, in the results' order."""
        return list(dict.fromkeys(spec for spec, _ in self.places))

    def gather(self, places: Iterable[Place]) -> None:
        """Find or compute the pictures of all scenes of the album; BenchError where that fails, with what to do."""
        wanted = list(dict.fromkeys(places))
        self.look(wanted)
        missing = [p for p in wanted if any((*p, scene) not in self._pictures for scene in self.ids)]
        if missing:
            self._compute(missing)

    def _keep(self, entry: Entry, place: Place) -> None:
        for position, scene in enumerate(entry.manifest["scenes"]):
            if scene["id"] in self.ids:
                self._pictures[(*place, scene["id"])] = read_picture(entry, position)

    def _profile(self, specs: Iterable[str]) -> str:
        """The profile at which these methods were run; `auto` where there were several."""
        rows = self.part.frame
        profiles = rows[rows["method"].isin(list(specs))]["scale"].unique()
        return str(profiles[0]) if len(profiles) == 1 else "auto"

    def _weights_dir(self, spec: str) -> Path | None:
        """Where the run found the weights that a spec names."""
        folder = self.request.facts.get("weights_dirs", {}).get(spec)
        return Path(folder) if folder else None

    def _plan(self, missing: Sequence[Place]) -> Plan:
        size, root, resize = self.about["size"], self.about["root"], self.about.get("resize", "spade")
        specs = tuple(dict.fromkeys(spec for spec, _ in missing))
        folders = list(dict.fromkeys(filter(None, map(self._weights_dir, specs))))
        settings = computed_again(
            self.request.config, self.about["opened_as"], self.part.channel, methods=specs, metrics=(), scenes=1,
            psnr=tuple({psnr for _, psnr in missing}), seeds=(self.seed,), split=self.split,
            profile=self._profile(specs), weights_dir=folders[0] if len(folders) == 1 else None,
        )  # fmt: skip
        data = DataSection(root=root and Path(root), size=tuple(size), resize=resize)
        plan = make_plan(settings.model_copy(update={"data": {self.about["opened_as"]: data}}))
        fingerprint = self.source.fingerprint(self.split, self.ids)
        cells = tuple(
            replace(cell, scenes=replace(cell.scenes, ids=tuple(self.ids), fingerprint=fingerprint))
            for cell in plan.cells
            if (cell.method.spec, cell.channel.psnr) in missing
        )
        return replace(plan, cells=cells)

    def _kept_by_another_figure(self, cell: Cell) -> bool:
        """Whether cells beside the figures have the method's pictures of all of our scenes; these are taken then."""
        own = cell_path(self.request.to, cell)
        place = (cell.method.spec, cell.channel.psnr)
        for folder in own.parent.glob(f"{own.name.rpartition('-')[0]}-*"):
            entry = open_entry(folder)
            if entry is None:
                continue
            key = entry.manifest["key"]
            ours = {**cell.key, "scenes": key["scenes"], "fingerprint": key["fingerprint"]}
            if key == ours and key["fingerprint"] == self.source.fingerprint(self.split, key["scenes"]):
                self._keep(entry, place)
        return all((*place, scene) in self._pictures for scene in self.ids)

    def _compute(self, missing: Sequence[Place]) -> None:
        from rich.console import Console

        from bench.run.progress import History, RunProgress, in_words, total
        from bench.run.runner import run_plan, worker_count

        request, run = self.request, self.request.config.run
        remedy = (
            "make the run's own pictures again where its methods work "
            f"(`{request.facts.get('command', 'bench run')}`), or choose others with --methods and --psnr"
        )
        try:
            plan = self._plan(missing)
        except (BenchError, MethodError) as error:
            raise BenchError(
                f"the cache in {request.folder} lacks pictures for this figure, and they cannot be computed here: "
                f"{error}. {remedy[0].upper()}{remedy[1:]}"
            ) from None
        then = {spec: identity.get("weights_sha256") for spec, identity in self.about["methods"].items()}
        now = {cell.method.spec: cell.method.identity.get("weights_sha256") for cell in plan.cells}
        other = [spec for spec, digest in now.items() if spec in then and then[spec] != digest]
        if other:
            self.notes.append(f"Pictures of {', '.join(other)} were made with other weights than the results' numbers.")
        plan = replace(plan, cells=tuple(cell for cell in plan.cells if not self._kept_by_another_figure(cell)))
        if not plan.cells:
            return
        history = History(request.folder)
        seconds, guesses = total([history.estimate(cell) for cell in plan.cells], worker_count(plan, run.jobs))
        guessed = ", by a guess where no such cell is there" if guesses else ""
        request.say(
            f"computing pictures that the cache of {request.folder} lacks: {len(plan.cells)} cells of {len(self.ids)} "
            f"scene(s), about {in_words(seconds)}{guessed}; kept in {request.to / 'cells'}"
        )
        progress = RunProgress(Console(stderr=True))
        report = run_plan(
            plan, request.to, run.jobs, run.batch_size, run.backend, progress, run.time_limit, run.retries
        )
        if report.failures:
            what, message, _ = report.failures[0]
            raise BenchError(f"{len(report.failures)} cell(s) failed, first {what}: {message}; {remedy}")
        for state in report.states:
            if state.pictures is not None:
                self._keep(state.pictures, (state.cell.method.spec, state.cell.channel.psnr))

    def method(self, spec: str) -> Method:
        """The method as it is built here, on the CPU; MethodError where weights are missing."""
        if spec not in self._methods:
            parsed = parse_spec(spec)
            setting = method_setting(
                parsed,
                without_weights(self.request.config),
                MethodContext.of(self.source, weights_dir=self._weights_dir(spec)),
                self._profile([spec]),
            )
            self._methods[spec] = build_method(setting.spec, setting.context, setting.options)
        return self._methods[spec]

    def map_senders(self) -> Iterator[str]:
        """The methods of the results that send maps and can be built here."""
        for spec in self.part.methods:
            try:
                if "drop_absent" in self.method(spec).options:
                    yield spec
            except MethodError:
                continue

    def map_sender(self, fds: bool = False) -> str | None:
        """The first method (with `fds`: with the block) that sends maps of classes there, else of all; else None."""
        found = [spec for spec in self.map_senders() if self.method(spec).options["fds"] or not fds]
        return min(found, key=lambda spec: not self.method(spec).options["drop_absent"], default=None)

    def received(self, spec: str, psnr: float, scene: str) -> tuple[Tensor, tuple[int, ...]]:
        """The maps (K, H, W) that reached that method's receiver, and which channels of the full map they are."""
        method = self.method(spec)
        assert isinstance(method, SemanticMethod)  # callers take `map_sender`'s
        channel = read_channel(self.part.channel, psnr)
        with one_thread(), torch.inference_mode():
            sent = method.send(stack([self[scene]], self.space))
            stream = channel_stream(self.dataset, scene, channel.realisation, self.seed)
            return channel.transmit(sent.symbols[0], stream), method.sent_channels(sent.side_info[0])

    def received_map(self, spec: str, psnr: float, scene: str) -> np.ndarray:
        """What reached that method's receiver, the strongest class at each pixel in its colour, (H, W, 3) uint8."""
        return paint_labels(strongest_class(*self.received(spec, psnr, scene), self.space), self.space)

    def about_pictures(self) -> list[str]:
        """Notes for below a figure: scenes, seed, and what differs from the results."""
        return [f"Scenes {', '.join(self.ids)}; seed {self.seed} for channel and receiver.", *self.notes]
