"""bench.toml as validated models. Without a file the defaults of these models hold; bench.toml documents them."""

from __future__ import annotations

import tomllib
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UsageError, nearest

FILE_NAME = "bench.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunSection(_Section):
    """What `bench run` does where the command line says nothing."""

    methods: tuple[str, ...] = ("all",)
    datasets: tuple[str, ...] = ("streets",)
    psnr: Literal["all"] | tuple[float, ...] = "all"
    scenes: int = Field(default=64, ge=1)
    seeds: tuple[int, ...] = (0,)
    metrics: tuple[str, ...] = ("all",)
    split: str = "auto"
    device: str = "auto"
    jobs: int = Field(default=0, ge=0)
    batch_size: int = Field(default=8, ge=1)
    backend: str = "loky"
    profile: str = "auto"
    out: Path = Path("results/local")


class ChannelSection(_Section):
    """The channel between sender and receiver (see bench/channel.py)."""

    kind: str = "awgn"
    calibration: str = "paper"
    power: str = "peak"


class DataSection(_Section):
    """[data.NAME]: where a data set is, at which size (height, width) it is read, and how its pictures are resized to
    that: "spade" in one bicubic step, "sdm" as the loaders of SDM and GESCO do (see bench/scenes/images.py)."""

    root: Path | None = None
    size: tuple[int, int] | None = None
    resize: Literal["spade", "sdm"] = "spade"


class MethodSection(_Section):
    """[methods.NAME]: the method's options, its profile where it differs from [run], and a folder of weights."""

    profile: str | None = None
    weights_dir: Path | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class TrainSection(_Section):
    """[train.NAME]: what `bench train NAME` does where the command line says nothing; `options` are fields of the
    method's recipe, for example GESCO's `noise_weights` (the method checks them)."""

    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    checkpoint_gradients: bool = False
    compile: bool | None = None
    validate_every: int | None = Field(default=None, ge=0)
    options: dict[str, Any] = Field(default_factory=dict)


class MetricSection(_Section):
    """[metrics.NAME]: the judge that the metric uses on each data set, where it is not the first that it knows."""

    judges: dict[str, str] = Field(default_factory=dict)


class RegressSection(_Section):
    """[regress]: what `bench regress` takes for a change that matters (see bench/regress/thresholds.py).

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
    channel: ChannelSection = ChannelSection()
    data: dict[str, DataSection] = Field(default_factory=dict)
    methods: dict[str, MethodSection] = Field(default_factory=dict)
    metrics: dict[str, MetricSection] = Field(default_factory=dict)
    train: dict[str, TrainSection] = Field(default_factory=dict)
    regress: RegressSection = RegressSection()


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """Names of the fields beside the offending key at `location` (the path of keys that pydantic reports)."""
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
        return f"unknown key '{location[-1]}' {place}{nearest(str(location[-1]), _known_keys(location))}"
    return f"{'.'.join(str(part) for part in location)} in {path}: {first['msg']} (it is {first['input']!r})"


def read_config(path: Path) -> Config:
    """Read one bench.toml; UsageError names the file and the nearest known key. Relative paths in it are as written
    by its author: relative to the file's folder."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no configuration file {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise UsageError(_explain(error, path)) from None
    folder = path.resolve().parent

    def absolute(section: Any, field: str) -> Any:
        value = getattr(section, field)
        return section if value is None else section.model_copy(update={field: folder / value.expanduser()})

    return config.model_copy(
        update={
            "run": absolute(config.run, "out") if "out" in config.run.model_fields_set else config.run,
            "data": {name: absolute(section, "root") for name, section in config.data.items()},
            "methods": {name: absolute(section, "weights_dir") for name, section in config.methods.items()},
            "metrics": {name: _placed(section, folder) for name, section in config.metrics.items()},
        }
    )


def _placed(section: MetricSection, folder: Path) -> MetricSection:
    """The section with judges that lie in the configuration's folder (`hf:FOLDER`) named by their whole path; what is
    not there is looked for among the weights, as it is written."""

    def placed(judge: str) -> str:
        scheme, colon, path = judge.partition(":")
        here = folder / Path(path).expanduser()
        return f"{scheme}:{here}" if colon and path and here.exists() else judge

    return section.model_copy(update={"judges": {name: placed(judge) for name, judge in section.judges.items()}})


def load_config(path: Path | None = None) -> Config:
    """The file given, else ./bench.toml, else the defaults."""
    if path is not None:
        return read_config(path)
    here = Path(FILE_NAME)
    return read_config(here) if here.is_file() else Config()
