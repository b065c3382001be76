"""`bench list`: what can be named, and what of it can run here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from bench.cli.options import ConfigOption, print_sheets

if TYPE_CHECKING:
    from bench.api.scenes import SceneSource
    from bench.config import Config


WHAT = "methods, metrics, datasets, channels, links, samplers, tables or figures."


class Entry(NamedTuple):
    """One line: `ready` is None where nothing has to be there for it."""

    name: str
    about: str
    where: str
    ready: bool | None = None


def list_names(what: Annotated[str, typer.Argument(help=WHAT)], config: ConfigOption = None) -> None:
    """List names, what they are, and what can run here, of which no network is loaded.

    `bench doctor` says what to do about the rest.

    Example: bench list methods
    """
    from bench.api.errors import known_name
    from bench.config import load_config
    from bench.tables.model import Printed, Sheet

    what = known_name(what, _KINDS, "list")
    lister, third, note = _KINDS[what]
    entries = list(lister(load_config(config)))
    rows = tuple((Printed(e.name, best=bool(e.ready)), Printed(e.about), Printed(e.where)) for e in entries)
    mark = "can run here" if any(entry.ready for entry in entries) else None
    print_sheets([Sheet(3, (what, "what it is", third), rows, (note,), mark, (), ())])


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _sources(config: Config) -> list[SceneSource]:
    """The data sets that are here."""
    from bench.api.errors import DataError
    from bench.run.setting import data_set_names, open_configured

    found = []
    for name in data_set_names(config):
        try:
            found.append(open_configured(name, config))
        except DataError:
            continue
    return found


def _on(sources: list[SceneSource], build: Callable[[SceneSource], object]) -> tuple[str, bool]:
    """The data sets on which a part can be built, in words, and whether there is one."""
    from bench.api.errors import BenchError, MethodError, MetricError

    there = []
    for source in sources:
        try:
            build(source)
        except (BenchError, MethodError, MetricError):
            continue
        there.append(source.name)
    return ", ".join(there) or "none here", bool(there)


def _methods(config: Config) -> Iterator[Entry]:
    from bench.api.errors import MethodError
    from bench.api.method import MethodContext
    from bench.api.registry import METHODS
    from bench.api.specs import build_method, parse_spec
    from bench.run.setting import method_setting

    sources = _sources(config)

    def build(name: str, source: SceneSource) -> None:
        setting = method_setting(parse_spec(name), config, MethodContext.of(source))
        build_method(setting.spec, setting.context, setting.options)

    for name in METHODS.names():
        try:
            about = METHODS.load(name).title
        except MethodError as error:
            yield Entry(name, str(error), "")
            continue
        yield Entry(name, about, *_on(sources, lambda source, name=name: build(name, source)))  # type: ignore[misc]


def _metrics(config: Config) -> Iterator[Entry]:
    from bench.api.errors import MetricError
    from bench.api.metric import MetricContext
    from bench.api.registry import METRICS

    sources = _sources(config)

    def build(name: str, source: SceneSource) -> None:
        METRICS.build(name, MetricContext.of(source, config.evaluator(name, source.name)))

    for name in METRICS.names():
        try:
            about = _first_line(METRICS.load(name))
        except MetricError as error:
            yield Entry(name, str(error), "")
            continue
        yield Entry(name, about, *_on(sources, lambda source, name=name: build(name, source)))  # type: ignore[misc]


def _datasets(config: Config) -> Iterator[Entry]:
    from bench.api.scenes import facts_of
    from bench.run.setting import data_set_names

    here = {source.name: source for source in _sources(config)}
    for name in data_set_names(config):
        source = here.get(name)
        root = getattr(source, "root", None)
        where = "needs a data root" if source is None else f"in {root}" if root else "rendered here"
        yield Entry(name, facts_of(name).title, where, source is not None)


def _channels(config: Config) -> Iterator[Entry]:
    from bench.api.registry import CHANNELS
    from bench.channels.registry import build_channel

    for kind in CHANNELS.names():
        channel = build_channel(kind)
        options = ", ".join(channel.option_names())
        yield Entry(kind, channel.words, f"options {options}" if options else "no options", True)


def _links(config: Config) -> Iterator[Entry]:
    from bench.api.specs import DEFAULT_LINK
    from bench.links.scheme import ADAPTIVE, HIGHEST, LOWEST, MODULATIONS, SWITCHING, UNCODED

    ready = find_spec("sionna") is not None
    needs = "" if ready else "needs: pip install 'gesco-bench[links]'"
    for name, bits in MODULATIONS.items():
        about = f"{bits} bits a complex symbol, 5G LDPC of rate {LOWEST} to {HIGHEST}, or {UNCODED}"
        yield Entry(f"{name}@RATE", about, needs or f"for example {name}@1/2", ready)
    yield Entry(ADAPTIVE, f"the best of {', '.join(SWITCHING)}, by a sender that knows the channel", needs, ready)
    yield Entry(DEFAULT_LINK, "what +digital without a link is", needs, ready)


def _samplers(config: Config) -> Iterator[Entry]:
    from methods.common.diffusion.samplers import RECORDED, SAMPLERS

    for name, sampler in SAMPLERS.items():
        about = _first_line(getattr(sampler.sample, "func", sampler.sample))
        yield Entry(name, about, f"recorded as {RECORDED[name]}" if name in RECORDED else "", True)


def _tables(config: Config) -> Iterator[Entry]:
    from bench.run.ablations import ABLATIONS, find_ablation
    from bench.tables.named import NAMED

    yield Entry("METRIC", "Any metric of the results against PSNR; mIoU, LPIPS and FID are Tables 1 to 3.", "")
    for name, made in NAMED.items():
        yield Entry(name, _first_line(made), "")
    for name in ABLATIONS:
        yield Entry(name, find_ablation(name).question, f"bench ablate {name}")


def _figures(config: Config) -> Iterator[Entry]:
    from bench.figures import FIGURES

    for name, kind in FIGURES.items():
        yield Entry(name, kind.about, "pictures" if kind.pictures else "numbers")


#: Kind -> its entries, the heading of what is said of them last, and how they are named.
_KINDS: dict[str, tuple[Callable[[Config], Iterator[Entry]], str, str]] = {
    "methods": (
        _methods, "runs on", "bench run --methods gesco,oasis+fds: a name, then +fds, +digital or :option=value.",
    ),
    "metrics": (_metrics, "measures on", "bench run --metrics mIoU,LPIPS; FID is every FID that can be computed."),
    "datasets": (_datasets, "where", "bench run --datasets streets; `bench data list` has scenes and sizes."),
    "channels": (_channels, "options", "bench run --channel KIND:option=value."),
    "links": (_links, "here", "bench run --methods oasis+digital:link=16qam@2/3."),
    "samplers": (_samplers, "name in results", "bench run --methods gesco:sampler=ddim:steps=25."),
    "tables": (_tables, "computed by", "bench table NAME."),
    "figures": (_figures, "made of", "bench plot NAME."),
}  # fmt: skip
