"""Which weights a method has in a run, and which profile: where names, folders and cards are put together.

Weights of one's own are always part of the spec (`gesco:weights=NAME`), however they were named: so every table,
caption, file and cache key says them, and no result of theirs can be taken for one of the shipped weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.api.errors import UsageError, known_name
from bench.api.method import MethodContext
from bench.api.registry import DATASETS, METHODS
from bench.api.scenes import SceneSource, facts_of
from bench.api.specs import HEADER, USES, WEIGHTS, WEIGHTS_NAME, MethodSpec, has_weights, parse_spec
from bench.api.weights import trained_profile, weights_name
from bench.config import Config, DataSection, MethodSection
from bench.data.registry import open_dataset, own_names

#: What can be asked for: the profile of the weights that are found, or one that they have to be of.
PROFILES = ("auto", "embedded", "paper")


@dataclass(frozen=True)
class Setting:
    """A spec with its weights named in it, the context that finds them, and the options of bench.toml."""

    spec: MethodSpec
    context: MethodContext
    options: Mapping[str, Any]


def method_setting(spec: MethodSpec, config: Config, context: MethodContext, profile: str | None = None) -> Setting:
    """What `spec` is under `config` where `context` says data set, size and device.

    `weights_dir` of `context` is where weights that the spec names were found before, if `config` names no folder.
    Weights are those that the spec names, else those of [methods.NAME], else of the folder that --weights-dir or [run]
    names, as far as it has some of this method. `profile` (or [methods.NAME], or [run]) `auto` is that of the weights
    that are found; without any, embedded for the scenes that the project renders and else paper. UsageError for a
    folder that is none or cannot stand in a spec.
    """
    section = config.methods.get(spec.name, MethodSection())
    options = dict(section.options)
    for name in (HEADER, USES):  # part of the spec however they were set, as weights are
        if name in options:
            spec = _named(spec, options.pop(name), name)
    if has_weights(METHODS.load(spec.name)):
        spec, context = _with_weights(spec, options.pop(WEIGHTS, None), config, section, context)
    asked = profile or section.profile or config.run.profile
    if profile is None:
        asked = known_name(asked, PROFILES, "profile")
    if asked == "auto":
        usual = usual_profile(context.dataset)
        named = replace(context, weights=spec.options.get(WEIGHTS, ""), profile=usual)
        asked = trained_profile(spec.name, named) or usual
    return Setting(spec, replace(context, profile=asked), options)


def usual_profile(dataset: str) -> str:
    """The profile where no weights say theirs: a folder of the user's own has no published networks either."""
    return "embedded" if dataset not in DATASETS.names() or facts_of(dataset).rendered else "paper"


def _with_weights(
    spec: MethodSpec, configured: str | None, config: Config, section: MethodSection, context: MethodContext
) -> tuple[MethodSpec, MethodContext]:
    base = _folder(config.run.weights_dir, "--weights-dir") or _folder(
        section.weights_dir, f"weights_dir of [methods.{spec.name}]"
    )
    name = spec.options.get(WEIGHTS) or configured
    if name:
        if base is not None and not (base / name).is_dir():  # the very folder, or a name among the user's weights
            base = base.parent if base.name == name else None
        return _named(spec, name), replace(context, weights_dir=base or context.weights_dir)
    file = weights_name(spec.name, context)
    if config.run.weights_dir is not None and base is not None and not (base / file).is_file():
        base = _folder(section.weights_dir, f"weights_dir of [methods.{spec.name}]")
    if base is None:
        return spec, replace(context, weights_dir=None)
    if not WEIGHTS_NAME.fullmatch(base.name):
        raise UsageError(
            f"the weights in {base} cannot be named in a spec: the folder's name has to be letters, digits, '_', '.' "
            "and '-', because tables call them by it; rename the folder"
        )
    return _named(spec, base.name), replace(context, weights_dir=base.parent)


def _named(spec: MethodSpec, value: object, option: str = WEIGHTS) -> MethodSpec:
    return spec if option in spec.options else parse_spec(f"{spec.text}:{option}={value}")


def _folder(path: Path | None, where: str) -> Path | None:
    """The whole path of a folder that somebody named; UsageError where there is none."""
    if path is None:
        return None
    if not path.is_dir():
        raise UsageError(f"{where}: {path} is {'no folder' if path.exists() else 'not there'}")
    return path.resolve()


def without_weights(config: Config) -> Config:
    """`config` as it is for specs out of results, which say themselves whose weights they had."""
    methods = {
        name: section.model_copy(
            update={"weights_dir": None, "options": {k: v for k, v in section.options.items() if k != WEIGHTS}}
        )
        for name, section in config.methods.items()
    }
    return config.model_copy(update={"run": config.run.model_copy(update={"weights_dir": None}), "methods": methods})


def open_configured(name: str, config: Config, root: Path | None = None) -> SceneSource:
    """A data set as [data.NAME] has it; DataError where it is not there."""
    section = config.data.get(name, DataSection())
    return open_dataset(name, root, section.size, section.root, section.resize)


def data_set_names(config: Config) -> list[str]:
    """The data sets that there are, and a configuration's own."""
    return [*DATASETS.names(), *own_names(config.data)]
