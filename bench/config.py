"""bench.toml as validated models. Without a file the defaults of these models hold; bench.toml documents them."""

import os
import reprlib
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bench.api.errors import UsageError, nearest

FILE_NAME = "bench.toml"
#: Keys that had another name.
RENAMED: dict[str | int, str] = {"judges": "evaluators"}
#: A configuration is a page or two; what is larger is another file.
LARGEST = 1_000_000
#: No count of scenes, workers or steps is larger, and no side of a picture longer than `LONGEST_SIDE`.
LARGEST_COUNT, LONGEST_SIDE = 1_000_000_000, 65_536


def _usable(path: Path) -> Path:
    """The path with `~` filled in; ValueError where no system can have it."""
    if "\0" in str(path):
        raise ValueError("a path has no zero byte")
    try:
        return path.expanduser()
    except RuntimeError as error:  # there is no such user
        raise ValueError(str(error)) from None


Side = Annotated[int, Field(ge=1, le=LONGEST_SIDE)]
Place = Annotated[Path, AfterValidator(_usable)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunSection(_Section):
    """What `bench run` does where the command line says nothing."""

    methods: tuple[str, ...] = ("all",)
    datasets: tuple[str, ...] = ("streets",)
    psnr: Literal["all"] | tuple[float, ...] = "all"
    scenes: int = Field(default=64, ge=1, le=LARGEST_COUNT)
    seeds: tuple[Annotated[int, Field(ge=-(2**63), lt=2**63)], ...] = (0,)
    metrics: tuple[str, ...] = ("all",)
    split: str = "auto"
    device: str = "auto"
    jobs: int = Field(default=0, ge=0, le=LARGEST_COUNT)
    batch_size: int = Field(default=8, ge=1, le=LARGEST_COUNT)
    backend: str = "loky"
    cluster: str | None = None
    time_limit: float | None = Field(default=None, gt=0)
    retries: int = Field(default=2, ge=0, le=LARGEST_COUNT)
    profile: str = "auto"
    weights_dir: Place | None = None
    out: Place = Path("results/local")


class ClusterSection(_Section):
    """[cluster]: what `--cluster slurm` asks for, a worker; None leaves it to dask-jobqueue's own configuration."""

    queue: str | None = None
    walltime: str | None = None
    cores: int = Field(default=1, ge=1, le=LARGEST_COUNT)
    memory: str = "8GB"
    gpus: int = Field(default=0, ge=0, le=LARGEST_COUNT)


class ChannelSection(BaseModel):
    """[channel]: the kind of the channel between sender and receiver, and the options of that kind (bench/channels)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str = "awgn"

    @property
    def options(self) -> dict[str, Any]:
        """The options that differ from the kind's defaults, or may."""
        return dict(self.model_extra or {})


class DataSection(_Section):
    """[data.NAME]: where a data set is, at which size (height, width) and how resized it is read.

    `resize` "spade" is one bicubic step, "sdm" as the loaders of SDM and GESCO do (see bench/data/images.py).
    """

    root: Place | None = None
    size: tuple[Side, Side] | None = None
    resize: Literal["spade", "sdm"] = "spade"


class MethodSection(_Section):
    """[methods.NAME]: the method's options, its profile where it differs from [run], and a folder of weights."""

    profile: str | None = None
    weights_dir: Place | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class TrainSection(_Section):
    """[train.NAME]: what `bench train NAME` does where the command line says nothing.

    `options` are fields of the method's recipe, for example GESCO's `noise_weights` (the method checks them).
    """

    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    checkpoint_gradients: bool = False
    compile: bool | None = None
    validate_every: int | None = Field(default=None, ge=0, le=LARGEST_COUNT)
    options: dict[str, Any] = Field(default_factory=dict)


class MetricSection(_Section):
    """[metrics.NAME]: the network that the metric asks on each data set, where it is not the first that it knows."""

    evaluators: dict[str, str] = Field(default_factory=dict)


class RegressSection(_Section):
    """[regress]: what `bench regress` takes for a change that matters (see bench/regress/model.py).

    `alpha` is the chance of any false alarm in a report. `floors` (in the metric's unit) and `relative_floors` (shares
    of the baseline's value) are the smallest changes worth a verdict, by metric with or without its bracket; `warn` has
    the factors of the baseline's cost from which a cost is warned about. What is not named keeps its default.
    """

    alpha: float = Field(default=0.05, gt=0, lt=1)
    floors: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    relative_floors: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    warn: dict[str, Annotated[float, Field(gt=1)]] = Field(default_factory=dict)


class Config(_Section):
    """The whole of bench.toml."""

    run: RunSection = RunSection()
    cluster: ClusterSection = ClusterSection()
    channel: ChannelSection = ChannelSection()
    data: dict[str, DataSection] = Field(default_factory=dict)
    methods: dict[str, MethodSection] = Field(default_factory=dict)
    metrics: dict[str, MetricSection] = Field(default_factory=dict)
    train: dict[str, TrainSection] = Field(default_factory=dict)
    regress: RegressSection = RegressSection()

    def evaluator(self, metric: str, dataset: str) -> str | None:
        """The network that a metric asks on a data set, None where that is the first that it knows."""
        return self.metrics.get(metric, MetricSection()).evaluators.get(dataset)


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """Names of the fields beside the unknown key at `location` (the path of keys that pydantic reports)."""
    kind: Any = Config
    for part in location[:-1]:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:  # dict[str, Section]: the key is free, the value is the section
            kind = typing.get_args(kind)[1]
    return list(kind.model_fields)


def _explain(error: ValidationError, path: Path) -> str:
    """The first problem of a file in one line; the nearest known key for an unknown one."""
    first = error.errors()[0]
    location = tuple(first["loc"])
    if first["type"] == "extra_forbidden":
        section = ".".join(str(part) for part in location[:-1])
        place = f"in [{section}] of {path}" if section else f"in {path}"
        if location[-1] in RENAMED:
            return f"'{location[-1]}' {place} is called '{RENAMED[location[-1]]}' now"
        return f"unknown key '{location[-1]}' {place}{nearest(str(location[-1]), _known_keys(location))}"
    return f"{'.'.join(str(part) for part in location)} in {path}: {first['msg']} (it is {as_written(first['input'])})"


def as_written(value: object) -> str:
    """A wrong value in a message: its repr, shortened where it is long."""
    try:
        return reprlib.repr(value)
    except ValueError:  # a number of more digits than Python turns into text
        return f"a {type(value).__name__} of too many digits"


def _text(path: Path) -> str:
    """A configuration file's text; UsageError for what is no text file of a sensible size."""
    try:
        if path.exists() and not path.is_file():  # reading a named pipe or a device may never end
            raise UsageError(f"{path} is not a file but {'a folder' if path.is_dir() else 'a device or pipe'}")
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is no configuration: it has more than {LARGEST:,} bytes")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no configuration file {path}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not valid TOML, which is UTF-8: {error.reason} at byte {error.start}") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise UsageError(f"cannot read the configuration {path}: {getattr(error, 'strerror', None) or error}") from None


def read_config(path: Path) -> Config:
    """Read one bench.toml, whose paths are relative to it; UsageError names file and nearest known key."""
    text = _text(path)
    try:
        raw = tomllib.loads(text)
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply") from None
    except ValueError as error:  # tomllib.TOMLDecodeError is one, and so is a number of thousands of digits
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise UsageError(_explain(error, path)) from None
    channel = config.channel
    if channel != ChannelSection():
        from bench.api.registry import CHANNELS
        from bench.channels.registry import check_options

        check_options(CHANNELS.load(channel.kind), channel.options, f" in [channel] of {path}")
    folder = path.resolve().parent

    def absolute(section: Any, field: str) -> Any:
        value = getattr(section, field)
        return section if value is None else section.model_copy(update={field: folder / value})

    return config.model_copy(
        update={
            "run": absolute(
                absolute(config.run, "out") if "out" in config.run.model_fields_set else config.run, "weights_dir"
            ),
            "data": {name: absolute(section, "root") for name, section in config.data.items()},
            "methods": {name: absolute(section, "weights_dir") for name, section in config.methods.items()},
            "metrics": {name: _placed(section, folder) for name, section in config.metrics.items()},
        }
    )


def _placed(section: MetricSection, folder: Path) -> MetricSection:
    """The section with evaluators that lie in the configuration's folder (`hf:FOLDER`) named by their whole path.

    What is not there is looked for among the weights, as it is written.
    """

    def placed(evaluator: str) -> str:
        scheme, colon, path = evaluator.partition(":")
        here = folder / Path(path).expanduser()
        return f"{scheme}:{here}" if colon and path and here.exists() else evaluator

    return section.model_copy(update={"evaluators": {name: placed(one) for name, one in section.evaluators.items()}})


def load_config(path: Path | None = None) -> Config:
    """The file given, else ./bench.toml, else the defaults."""
    if path is not None:
        return read_config(path)
    here = Path(FILE_NAME)
    return read_config(here) if os.path.lexists(here) else Config()


def changed(
    config: Config, run: Mapping[str, Any], channel: str | None = None, options: Mapping[str, Any] | None = None
) -> Config:
    """The configuration with values of a command line or a call, where they are not None, in the place of its own.

    `channel` is `KIND:option=value...`; `options` are those of a channel that were given by themselves. UsageError
    names the option that has no such value.
    """
    from bench.channels.registry import parse_channel

    section = config.channel.model_dump()
    if channel is not None:
        kind, named = parse_channel(channel)
        section = {**(section if section["kind"] == kind else {}), "kind": kind, **named}
    section |= {key: value for key, value in (options or {}).items() if value is not None}
    given = {key: value for key, value in run.items() if value is not None}
    try:
        return Config.model_validate({**dict(config), "run": {**config.run.model_dump(), **given}, "channel": section})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"--{str(first['loc'][1]).replace('_', '-')}: {first['msg']} (got {as_written(first['input'])})"
        ) from None
