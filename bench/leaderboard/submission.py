"""Reading a submission: one JSON file with a third party's numbers, which nobody here has any reason to trust.

The file is limited in size before it is parsed and in rows before it is validated, parsed without Python's additions
to JSON (NaN, Infinity, repeated keys), validated against `schema.json`, and then checked for what a schema cannot say:
finite values within the metric's bounds, data sets and channels that exist, no cell twice. Text is only ever shown
escaped (bench/leaderboard/site.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.api.errors import BenchError, UsageError, nearest
from bench.api.names import PURE_NOISE
from bench.api.scores import find_score, score_info
from bench.api.seeding import digest
from bench.channels.registry import read_channel
from bench.results.merge import NO_CELL
from bench.results.schema import COLUMNS, CONTRIBUTIONS, WHOLE_SET
from bench.results.tidy import folded
from metrics.stats.significance import standard_error

if TYPE_CHECKING:
    import pandas as pd

#: Of the schema. Version 1 had draws of a bootstrap in the place of contributions.
VERSION = 2
MAX_BYTES = 16 * 1024 * 1024
MAX_ROWS = 5000
#: Per-scene values and contributions of one file.
MAX_NUMBERS = 500_000
#: The key of the digest of all others.
DIGEST = "digest"
#: Problems that are listed of one file.
LISTED = 20
#: Names of devices on Windows, where a file of that name cannot be.
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(1, 10))}
#: What tells one number of a submission from another.
CELL = ("dataset", "split", "size", "channel", "psnr", "seed", "metric", "protocol")


class SubmissionError(BenchError):
    """The submission in `file` is refused; `details` has one line for each thing that is wrong."""

    def __init__(self, file: Path, problems: list[str]) -> None:
        super().__init__(f"{file} is no valid submission:", problems)

    def __str__(self) -> str:
        return f"{self.args[0]} {'; '.join(self.details)}"


@dataclass(frozen=True, eq=False)
class Submission:
    """A valid submission: `data` as `schema.json` describes it, without the digest; `sealed` where it had one."""

    data: dict[str, Any] = field(repr=False)
    sealed: bool = False

    @property
    def name(self) -> str:
        """The method's name, fit for a file name."""
        return str(self.data["method"]["name"])

    def frame(self) -> pd.DataFrame:
        """The numbers as rows of a run's results (bench/results/rows.py)."""
        import pandas as pd

        rows = [row for result in self.data["results"] for row in _rows(self.name, result)]
        frame = folded(pd.DataFrame(rows, columns=[*COLUMNS, CONTRIBUTIONS]))
        # some scores leave scenes out, so a list of scenes is as long as the largest number that one of them rests on
        whole = frame["scenes"].where(frame["scene"] == WHOLE_SET, 0)
        counts = whole.groupby([frame[column] for column in ("dataset", "split", "size")]).transform("max")
        return frame.assign(scene_count=counts, cell=NO_CELL)


@lru_cache(maxsize=1)
def schema_text() -> str:
    """The JSON schema of submissions."""
    return (files("bench.leaderboard") / "schema.json").read_text(encoding="utf-8")


def read_submission(file: Path) -> Submission:
    """The submission in `file`; SubmissionError lists what is wrong with it, UsageError where it cannot be read."""
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):  # nobody may ever write into a pipe
            raise UsageError(f"cannot read {file}: it is no file but a device or a pipe")
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise SubmissionError(file, [f"it is larger than {MAX_BYTES // 2**20} MB; leave per-scene values out"])
    data = _parsed(raw, file)
    check_data(data, file)
    told = data.pop(DIGEST, None)
    if told is not None and told != digest(data):
        raise SubmissionError(
            file, [f"it was changed or damaged since its {DIGEST} was made; after an edit of yours, take that key out"]
        )
    return Submission(data, told is not None)


def as_file(data: dict[str, Any]) -> bytes:
    """A submission as it is written: with the digest of its content."""
    text = json.dumps({**data, DIGEST: digest(data)}, indent=1, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode()


def check_data(data: Any, file: Path) -> None:
    """SubmissionError, in the name of `file`, where `data` is no valid submission."""
    problems = list(islice(_problems(data), LISTED + 1))
    if problems:
        more = ["... and more"] if len(problems) > LISTED else []
        raise SubmissionError(file, [*problems[:LISTED], *more])


class _Refused(ValueError):
    """Something that JSON does not have, or that no submission needs."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Refused(f"the key {printable(next(n for n in names if names.count(n) > 1))} stands twice in one object")
    return found


def _constant(word: str) -> float:
    raise _Refused(f"{word} is no number in JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Refused(f"{printable(text)} is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > 20:
        raise _Refused(f"{printable(text)} is too large")
    return int(text)


def _parsed(raw: bytes, file: Path) -> Any:
    hooks = {"parse_constant": _constant, "parse_float": _float, "parse_int": _integer, "object_pairs_hook": _object}
    try:
        data = json.loads(raw.decode("utf-8"), **hooks)  # type: ignore[arg-type]
        json.dumps(data, ensure_ascii=False).encode()
        return data
    except UnicodeEncodeError:
        raise SubmissionError(file, ["a text in it has half a surrogate pair (\\ud800 to \\udfff): no text"]) from None
    except UnicodeDecodeError:
        raise SubmissionError(file, ["it is not UTF-8 text"]) from None
    except RecursionError:
        raise SubmissionError(file, ["its JSON is nested too deeply"]) from None
    except _Refused as error:
        raise SubmissionError(file, [str(error)]) from None
    except json.JSONDecodeError as error:
        raise SubmissionError(file, [f"it is not JSON: {error.msg} in line {error.lineno}"]) from None


def printable(text: str, length: int = 160) -> str:
    """Untrusted text for a terminal: one line, no control characters, at most `length` characters."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: length + 1])
    return shown if len(shown) <= length else shown[: length - 3] + "..."


def _problems(data: Any) -> Iterator[str]:
    """What is wrong, sizes first, so that nothing large is looked at closely."""
    too_large = _too_large(data)
    if too_large:
        yield too_large
        return
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version != VERSION:
        yield (
            f"its schema_version is {version}; this gesco-bench reads version {VERSION} (`bench leaderboard schema`): "
            "`bench leaderboard export` writes it from a run's results"
        )
        return
    from jsonschema import Draft202012Validator

    valid = True
    for error in Draft202012Validator(json.loads(schema_text())).iter_errors(data):
        valid = False
        yield f"{printable(error.json_path)}: {printable(error.message)}"
    if valid:
        yield from _method_problems(data["method"])
        yield from _result_problems(data["results"])


def _too_large(data: Any) -> str | None:
    results = data.get("results") if isinstance(data, dict) else None
    if not isinstance(results, list):
        return None
    if len(results) > MAX_ROWS:
        return f"it has {len(results)} results; at most {MAX_ROWS} are taken"
    kept = [row.get(name) for row in results if isinstance(row, dict) for name in ("per_scene", "contributions")]
    numbers = sum(len(values) for values in kept if isinstance(values, dict | list))
    if numbers > MAX_NUMBERS:
        return f"it has {numbers} per-scene values and contributions; at most {MAX_NUMBERS} are taken"
    return None


def _method_problems(method: dict[str, Any]) -> Iterator[str]:
    if method["name"].lower() in _RESERVED:
        yield f"$.method.name: '{method['name']}' cannot be a file name everywhere; choose another"
    if method["name"] == PURE_NOISE:
        yield f"$.method.name: '{PURE_NOISE}' is the benchmark's reference of pure noise; choose another"


def _result_problems(results: list[dict[str, Any]]) -> Iterator[str]:
    from bench.api.registry import DATASETS

    seen: dict[tuple[Any, ...], int] = {}
    for number, row in enumerate(results):
        where = f"$.results[{number}]"
        cell = tuple(row[name] for name in CELL)
        if cell in seen:
            yield f"{where}: the same cell, metric and protocol as $.results[{seen[cell]}]"
        seen.setdefault(cell, number)
        if row["dataset"] not in DATASETS.names():
            yield f"{where}.dataset: unknown data set '{row['dataset']}'{nearest(row['dataset'], DATASETS.names())}"
        problem = _channel_problem(row["channel"], row["psnr"])
        if problem:
            yield f"{where}.channel: {problem}"
        yield from (f"{where}.{problem}" for problem in _value_problems(row))


def _channel_problem(label: str, psnr: float) -> str | None:
    try:
        made = read_channel(label, psnr).convention
    except UsageError as error:
        return f"'{label}' at PSNR {psnr:g}: {error}"
    return None if made == label else f"'{label}' has to be written '{made}'"


def _value_problems(row: dict[str, Any]) -> Iterator[str]:
    info = find_score(row["metric"])
    if info is None:
        yield f"metric: this benchmark has no metric '{printable(row['metric'])}', nor has a package that is installed"
        return
    values = {"value": [row["value"]], "per_scene": [v for v in row.get("per_scene", {}).values() if v is not None]}
    for name, numbers in values.items():
        outside = next((v for v in numbers if not info.holds(v)), None)
        if outside is not None:
            yield f"{name}: {outside:g} is impossible for {printable(row['metric'])}, which is {info.range}"
    scenes = len(row.get("per_scene", {}))
    if scenes and scenes != row["scenes"]:
        yield f"per_scene: {scenes} values for {row['scenes']} scenes"
    kept = row.get("contributions")
    if kept and len(kept) != row["scenes"]:
        yield f"contributions: {len(kept)} for {row['scenes']} scenes"
    elif kept and row.get("stderr") is not None:
        follows = standard_error(np.array(kept, dtype=np.float64))
        if not math.isclose(row["stderr"], follows, rel_tol=1e-3, abs_tol=1e-9):
            yield f"stderr: {row['stderr']:g} is not that of the contributions, {follows:g}"


def _rows(name: str, result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One result as rows: the set-level one, and one for each per-scene value."""
    channel = read_channel(result["channel"], result["psnr"])
    copied = ("dataset", "split", "size", "scale", "channel", "seed", "metric", "protocol")
    base = {
        **{key: result[key] for key in copied},
        "method": name,
        "psnr": float(result["psnr"]),
        "sigma": channel.sigma,
        "peak_snr_db": channel.peak_snr_db,
        "mean_snr_db": float(result.get("mean_snr_db", math.inf if channel.sigma == 0 else math.nan)),
        "higher_is_better": score_info(result["metric"]).higher_is_better,
    }
    nan = float("nan")
    kept = np.array(result["contributions"], dtype=np.float64) if "contributions" in result else None
    spreads = {key: nan if result.get(key) is None else float(result[key]) for key in ("std", "stderr")}
    if kept is not None and math.isnan(spreads["stderr"]):
        spreads["stderr"] = standard_error(kept)
    numbers = {"value": float(result["value"]), **spreads, "scenes": result["scenes"]}
    yield {**base, **numbers, "scene": WHOLE_SET, CONTRIBUTIONS: kept}
    for scene, value in result.get("per_scene", {}).items():
        numbers = {"value": nan if value is None else float(value), "std": nan, "stderr": nan, "scenes": 1}
        yield {**base, **numbers, "scene": scene, CONTRIBUTIONS: None}
