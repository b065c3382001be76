"""A folder's results as one Parquet data set, partitioned by data set and method, below a manifest that seals it.

    OUT/rows/dataset=D/method=M/set-*.parquet      what is known of whole sets of scenes
    OUT/rows/dataset=D/method=M/scenes-*.parquet   tidy rows of single scenes, a metric after the other
    OUT/draws/dataset=D/method=M/*.parquet         what each scene contributes to scores that are no means
    OUT/provenance.json                            the manifest: provenance, and the digests of all files by blocks
    OUT/.provenance.json                           a copy of it, for runs that find it damaged

A part is a method on one list of scenes. Its files are named by their content and never changed, so that one rename,
the manifest's, makes a new state of all results; what no manifest names goes. Files are read in pieces, and no piece
is used before its block is verified (bench/api/files.py): Parquet's own page checksums, which other readers check,
leave its headers and footers unprotected. How rows are in memory: bench/results/tidy.py.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import numpy as np

from bench.api.device import cores
from bench.api.errors import BenchError
from bench.api.files import Blocks, Broken, block_digests, sha256, write_atomically
from bench.api.names import PURE_NOISE
from bench.api.seeding import digest
from bench.results.parquet import printable
from bench.results.schema import BY_SCENE, COLUMNS, CONTRIBUTIONS, EACH_SCENE, KINDS, SCENE_SET, WHOLE_SET, check_texts
from bench.results.tidy import as_objects

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as pds

ROWS, DRAWS, PROVENANCE, COPY = "rows", "draws", "provenance.json", ".provenance.json"
#: The one file of results of earlier versions.
RESULTS = "results.parquet"
#: Bumped when files are laid out otherwise.
LAYOUT = 1
#: What tells one part from another.
PART = (*SCENE_SET, "method")
#: Columns that are told by a file's place.
PLACED = ("dataset", "method")
_STORED = tuple(name for name in COLUMNS if name not in PLACED)
#: What names a row of the draws, and a run of rows of single scenes.
_DRAWN = ("channel", "psnr", "seed", "cell", "metric")
_FILE = rf"^({ROWS}|{DRAWS})/dataset=[^/]+/method=[^/]+/[a-z0-9-]+\.parquet$"
#: Numbers in a group of rows at least, unless no metric follows.
_GROUP = 1 << 15
#: Texts up to this length stand in full in Parquet's statistics, whoever wrote them.
_WHOLE = 64
log = logging.getLogger("bench")
REMEDY = "the `bench run` that wrote it makes it anew"

#: Chooses from the names of all that there are.
Choice = Callable[[list[str]], Collection[str]]


@dataclass(frozen=True)
class Only:
    """Which rows are wanted, by the names of their scores and methods and by PSNR; None stands for all.

    Those of pure noise, which have no PSNR, always are.
    """

    scores: Choice | None = None
    methods: Choice | None = None
    psnrs: Collection[float] | None = None


EVERYTHING = Only()


def is_dataset(out: Path) -> bool:
    """Whether there are results in this form, whatever their state."""
    manifest = out / PROVENANCE
    if not (out / ROWS).is_dir() or not manifest.is_file():
        return False
    # a run that was killed while it made a data set of an earlier version's file left that version's manifest
    return not (out / RESULTS).is_file() or b'"layout"' in manifest.read_bytes()


def read_manifest(out: Path) -> dict[str, Any]:
    """The provenance of a folder's data set with its `parts`; BenchError where it is damaged or a newer version's."""
    return _manifest(out / PROVENANCE)


def repaired_manifest(out: Path) -> dict[str, Any]:
    """`read_manifest`, made good from its copy where it is damaged, as a warning says; BenchError where both are."""
    try:
        return read_manifest(out)
    except Damaged as problem:
        try:
            manifest = _manifest(out / COPY)
        except BenchError:
            raise BenchError(f"{problem}, but its copy is damaged too; --replace leaves out all earlier runs") from None
        write_atomically(out / PROVENANCE, (out / COPY).read_bytes())
        log.warning("%s was damaged and is made good from its copy", out / PROVENANCE)
        return manifest


class Damaged(BenchError):
    """A manifest is not what was written."""


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        sealed, layout = manifest.pop("seal"), manifest["layout"]
        intact = sealed == digest(manifest) and type(layout) is int
        if layout == LAYOUT:
            _check_parts(manifest["parts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{path} is damaged ({' '.join(str(error).split())[:100]}); {REMEDY}") from None
    if not intact:
        raise Damaged(f"{path} is damaged: it is not what was written (its SHA-256 differs); {REMEDY}")
    if layout > LAYOUT:
        raise BenchError(
            f"{path} has layout {layout}, and this gesco-bench reads layouts up to {LAYOUT}: install a newer one"
        )
    return printable(manifest)  # type: ignore[no-any-return]


def _check_parts(parts: Any) -> None:
    """ValueError where a manifest by anyone has not the types that are taken for granted, or names other files."""
    from typing import Annotated

    from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter

    class File(BaseModel):
        bytes: int
        blocks: list[str]

    class Part(BaseModel):
        model_config = ConfigDict(strict=True)
        dataset: str
        split: str
        size: str
        scene_count: int
        method: str
        content: str
        cells: list[str]
        metrics: list[str]
        files: dict[Annotated[str, StringConstraints(pattern=_FILE)], File]

    TypeAdapter(list[Part]).validate_python(parts)


def provenance_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says beside its files."""
    return {key: value for key, value in manifest.items() if key not in ("layout", "parts")}


def write_dataset(frame: pd.DataFrame, facts: Mapping[str, Any], out: Path) -> None:
    """Write rows in memory and their provenance; files of parts that are the same stay as they are."""
    try:
        known = {name_of(part): part for part in read_manifest(out)["parts"]} if is_dataset(out) else {}
    except (BenchError, KeyError, TypeError):
        known = {}  # what replaces it is whole in itself
    with ThreadPoolExecutor(cores()) as pool:
        groups = [rows for _, rows in frame.groupby(list(PART), sort=False)]
        parts = list(pool.map(lambda rows: write_part(rows, out, known.get(_name_of_rows(rows))), groups))
    write_manifest(facts, parts, out)
    remove_others(out, parts)


def _name_of_rows(rows: pd.DataFrame) -> tuple[Any, ...]:
    return tuple(int(rows[name].iloc[0]) if KINDS[name] is int else rows[name].iloc[0] for name in PART)


def write_part(rows: pd.DataFrame, out: Path, old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write the files of one part, which no manifest names yet; an `old` one of the same rows that is intact stays."""
    part = dict(zip(PART, _name_of_rows(rows), strict=True)) | {"content": content_digest(rows)}
    if old is not None and old["content"] == part["content"] and damage_of(old, out) is None:
        return dict(old)
    told = {name: [str(value) for value in rows[name[:-1]].unique()] for name in ("cells", "metrics")}
    return part | told | {"files": _write_files(rows, out)}


def write_manifest(facts: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Make parts, whose files are there, the results of a folder."""
    (out / ROWS).mkdir(parents=True, exist_ok=True)
    manifest = {"layout": LAYOUT, **facts, "parts": list(parts)}
    data = json.dumps({**manifest, "seal": digest(manifest)}, indent=1)
    for name in (PROVENANCE, COPY):
        write_atomically(out / name, f"{data}\n".encode())


def remove_others(out: Path, parts: Sequence[Mapping[str, Any]]) -> None:
    """Remove files and folders of the data set that none of its parts names."""
    named = {out / name for part in parts for name in part["files"]}
    for folder in (out / ROWS, out / DRAWS):
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in named:
                path.unlink()


def name_of(part: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells a part from the others of a data set."""
    return tuple(part[name] for name in PART)


def damage_of(part: Mapping[str, Any], out: Path) -> str | None:
    """What of a part's files is not what was written, every byte read; None where all is."""
    try:
        for name, file in part["files"].items():
            with _opened(out, name, file) as blocks:
                blocks.verify()
    except Broken as problem:
        return str(problem)
    return None


def content_digest(rows: pd.DataFrame) -> str:
    """A digest of all that rows in memory say."""
    import pandas as pd

    made = hashlib.sha256(pd.util.hash_pandas_object(rows[list(COLUMNS)], index=False).to_numpy().tobytes())
    names: dict[int, bytes] = {}
    for kept, values in zip(rows[CONTRIBUTIONS], rows[BY_SCENE], strict=True):
        if isinstance(kept, np.ndarray):
            made.update(kept.astype(np.float32).tobytes())
        if values is not None:
            index = values.index
            made.update(names.setdefault(id(index), sha256("\0".join(map(str, index)).encode()).encode()))
            made.update(values.to_numpy(np.float64).tobytes())
    return made.hexdigest()


def _column(name: str, rows: pd.DataFrame, counts: np.ndarray) -> pa.Array:
    """A column of tidy rows: each value as often as it counts, texts by the numbers of their different values."""
    import pandas as pd
    import pyarrow as pa

    if KINDS[name] is str:
        codes, texts = pd.factorize(rows[name])
        numbers = np.repeat(codes.astype(np.int32), counts)
        made = pa.DictionaryArray.from_arrays(numbers, pa.array(list(texts), pa.string()))
        # statistics of groups are compared with texts only, and by the metric readers leave groups out
        return made.cast(pa.string()) if name == "metric" else made
    kind = {float: pa.float64(), int: pa.int64(), bool: pa.bool_()}[KINDS[name]]
    return pa.array(np.repeat(rows[name].to_numpy(), counts), kind, from_pandas=True)


def in_one_file(frame: pd.DataFrame) -> Iterator[pa.Table]:
    """Rows in memory as tables of tidy ones with all columns and contributions."""
    import pyarrow as pa

    for scene in (WHOLE_SET, EACH_SCENE):
        if len(rows := frame[(frame["scene"] == scene).to_numpy()]):
            table = _tidy(rows, COLUMNS)
            kept = [values if isinstance(values, np.ndarray) else None for values in rows[CONTRIBUTIONS]]
            kept = kept if scene == WHOLE_SET else [None] * table.num_rows
            yield table.append_column(CONTRIBUTIONS, pa.array(kept, pa.list_(pa.float32())))


def _tidy(rows: pd.DataFrame, names: Sequence[str]) -> pa.Table:
    """Columns of rows in memory, all of whole sets or all of single scenes, as a table of tidy ones."""
    import pyarrow as pa

    series = [values for values in rows[BY_SCENE] if values is not None]
    counts = np.array([len(values) for values in series] or [1] * len(rows))
    columns = {name: _column(name, rows, counts) for name in names}
    if series:
        columns["value"] = pa.array(np.concatenate(series), pa.float64(), from_pandas=True)
        texts: dict[str, int] = {}
        codes = {
            id(index): np.array([texts.setdefault(str(scene), len(texts)) for scene in index], dtype=np.int32)
            for index in {id(values.index): values.index for values in series}.values()
        }
        numbers = np.concatenate([codes[id(values.index)] for values in series])
        columns["scene"] = pa.DictionaryArray.from_arrays(numbers, pa.array(list(texts), pa.string()))
    return pa.table(columns)


def _drawn(rows: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    table = pa.table({name: _column(name, rows, np.ones(len(rows), dtype=int)) for name in _DRAWN})
    kept = [values.astype(np.float32) for values in rows[CONTRIBUTIONS]]
    return table.append_column(CONTRIBUTIONS, pa.array(kept, pa.list_(pa.float32())))


def _write_files(rows: pd.DataFrame, out: Path) -> dict[str, dict[str, Any]]:
    """Write the files of a part; path below `out` -> size and digests of each."""
    import pandas as pd

    whole, each = (rows[(rows["scene"] == scene).to_numpy()] for scene in (WHOLE_SET, EACH_SCENE))
    drawn = whole[[isinstance(values, np.ndarray) for values in whole[CONTRIBUTIONS]]]
    each, drawn = (own.iloc[pd.factorize(own["metric"])[0].argsort(kind="stable")] for own in (each, drawn))
    place = "/".join(f"{name}={_segment(str(rows[name].iloc[0]))}" for name in PLACED)
    made = {}
    for prefix, own in (
        (f"{ROWS}/{place}/set-", whole),
        (f"{ROWS}/{place}/scenes-", each),
        (f"{DRAWS}/{place}/", drawn),
    ):
        if len(own):
            data = _packed(_drawn(own) if own is drawn else _tidy(own, _STORED), own)
            name = f"{prefix}{sha256(data)[:16]}.parquet"
            write_atomically(out / name, data)
            made[name] = {"bytes": len(data), "blocks": block_digests(data)}
    return made


def _segment(text: str) -> str:
    """A value as a part of a path; one that is too long for a file's name ends with its digest."""
    name = quote(text, safe="")
    return name if len(name) <= 180 else f"{quote(text[:50], safe='')}~{sha256(text.encode())[:12]}"


def _packed(table: pa.Table, rows: pd.DataFrame) -> bytes:
    """The bytes of a Parquet file; groups end where a metric does, so that readers leave out what they do not need."""
    import pyarrow.parquet as pq

    kept = CONTRIBUTIONS in table.column_names
    weights = [len(values) for values in rows[CONTRIBUTIONS if kept else BY_SCENE] if values is not None]
    weights = weights or [1] * len(rows)
    counts = [1] * len(rows) if kept else weights
    buffer = io.BytesIO()
    with pq.ParquetWriter(
        buffer, table.schema, compression="zstd", write_page_checksum=True,
        use_dictionary=[name for name in table.column_names if name != CONTRIBUTIONS],
        # contributions hardly repeat: split into bytes and packed they take half of what Parquet makes of them
        use_byte_stream_split=[f"{CONTRIBUTIONS}.list.element"] if kept else False,
    ) as writer:  # fmt: skip
        start = stop = weight = 0
        metrics = list(rows["metric"])
        for count, more, metric, following in zip(counts, weights, metrics, [*metrics[1:], None], strict=True):
            stop, weight = stop + count, weight + more
            if following is None or (metric != following and weight >= _GROUP):
                writer.write_table(table.slice(start, stop - start), row_group_size=stop - start)
                start, weight = stop, 0
    return buffer.getvalue()


def read_dataset(out: Path, only: Only = EVERYTHING) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows in memory and the provenance of a folder's data set, whatever is read of it verified.

    BenchError where anything is damaged.
    """
    manifest = read_manifest(out)
    try:
        return _read(manifest["parts"], out, only), provenance_of(manifest)
    except Broken as problem:
        if read_manifest(out) != manifest:  # another run has written the next state, and removed files of this one
            return read_dataset(out, only)
        raise BenchError(f"{problem}; {REMEDY}") from None


def each_part(out: Path) -> tuple[dict[str, Any], Iterator[pd.DataFrame]]:
    """The provenance of a folder's data set, and its rows in memory part by part."""
    manifest = read_manifest(out)
    return provenance_of(manifest), (read_part(part, out) for part in manifest["parts"])


def read_part(part: Mapping[str, Any], out: Path) -> pd.DataFrame:
    """The rows in memory of one part, verified; Broken where its files are not what was written."""
    return _read([part], out, EVERYTHING)


def _opened(out: Path, name: str, file: Mapping[str, Any]) -> Blocks:
    return Blocks(out / name, file["bytes"], file["blocks"])


def _read(parts: Sequence[Mapping[str, Any]], out: Path, only: Only) -> pd.DataFrame:
    """The rows in memory of parts; BenchError where anybody's files are of other columns or types."""
    import pyarrow as pa

    try:
        return _rows_in_memory(parts, out, only)
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        told = " ".join(str(error).split())[:200]
        raise BenchError(f"{out / ROWS} is damaged or not ours ({told}); {REMEDY}") from None


def _rows_in_memory(parts: Sequence[Mapping[str, Any]], out: Path, only: Only) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    chosen = _Chosen.of(only, parts)
    shared: dict[str, pd.Index] = {}
    read = [part for part in parts if chosen.has(part)]
    with ThreadPoolExecutor(cores()) as pool:
        found = [
            few
            for several in pool.map(lambda part: list(_read_part(part, out, chosen, shared)), read)
            for few in several
        ]
    if not found:
        empty: dict[str, np.ndarray] = {
            name: np.zeros(0, dtype=object if kind is str else kind) for name, kind in KINDS.items()
        }
        return pd.DataFrame(empty | {name: np.zeros(0, dtype=object) for name in (CONTRIBUTIONS, BY_SCENE)})
    frame: pd.DataFrame = pa.concat_tables(few.rows for few in found).to_pandas(use_threads=False)
    for name, values in ((CONTRIBUTIONS, [few.kept for few in found]), (BY_SCENE, [few.series for few in found])):
        frame[name] = as_objects(one for part in values for one in part)
    return frame


class _Few(NamedTuple):
    """Rows in memory: a table of texts and numbers, contributions and series of each."""

    rows: pa.Table
    kept: Sequence[np.ndarray | None]
    series: Sequence[pd.Series | None]


class _Chosen(NamedTuple):
    """What `Only` comes to: names of scores and methods, and PSNRs."""

    scores: Collection[str] | None
    methods: Collection[str] | None
    psnrs: Collection[float] | None

    @classmethod
    def of(cls, only: Only, parts: Sequence[Mapping[str, Any]]) -> _Chosen:
        scores = methods = None
        if only.scores is not None:
            scores = sorted(set(only.scores(sorted({metric for part in parts for metric in part["metrics"]}))))
        if only.methods is not None:
            methods = {PURE_NOISE, *only.methods(list(dict.fromkeys(part["method"] for part in parts)))}
        return cls(scores, methods, only.psnrs)

    def has(self, part: Mapping[str, Any]) -> bool:
        """Whether any row of a part may be wanted."""
        return (self.methods is None or part["method"] in self.methods) and (
            self.scores is None or bool(set(self.scores) & set(part["metrics"]))
        )

    @property
    def filter(self) -> pc.Expression | None:
        """What rows have to be, for readers of Parquet."""
        import pyarrow.compute as pc

        found = None
        if self.scores is not None:
            found = pc.field("metric").isin(list(self.scores))
        if self.psnrs is not None:
            levels = pc.field("psnr").isin(list(self.psnrs)) | pc.field("psnr").is_null(nan_is_null=True)
            found = levels if found is None else found & levels
        return found


def _read_part(part: Mapping[str, Any], out: Path, chosen: _Chosen, shared: dict[str, pd.Index]) -> Iterator[_Few]:
    import pyarrow as pa

    read = {name: _table(out, name, file, chosen) for name, file in part["files"].items()}
    tables = {name: table for name, (table, _) in read.items()}
    kept: dict[tuple[object, ...], np.ndarray] = {}
    for name in [name for name in tables if name.startswith(f"{DRAWS}/")]:
        table = tables.pop(name)
        kept |= dict(zip(_keys(table), table[CONTRIBUTIONS].to_numpy(zero_copy_only=False), strict=True))
    for name, table in tables.items():
        if "/set-" in name:
            yield _Few(_few(table, part), [kept.get(key) for key in _keys(table)], [None] * table.num_rows)
        elif table.num_rows:
            places, series = _runs(table.unify_dictionaries().combine_chunks(), out / name, shared)
            same = {column: pa.array([value] * len(places)) for column, value in read[name][1].items()}
            same |= {"scene": pa.array([EACH_SCENE] * len(places)), "value": pa.nulls(len(places), pa.float64())}
            yield _Few(_few(table.take(places), part, same), [None] * len(places), series)


def _keys(table: pa.Table) -> Iterator[tuple[object, ...]]:
    return zip(*(table[column].to_pylist() for column in _DRAWN), strict=True)


def _table(out: Path, name: str, file: Mapping[str, Any], chosen: _Chosen) -> tuple[pa.Table, dict[str, object]]:
    """The rows of a file that are chosen; groups of rows that have none are not read.

    Columns that have one value in all scenes' rows are left out of the table, and that value is told by their names.
    """
    import pyarrow as pa
    import pyarrow.dataset as data

    with _opened(out, name, file) as blocks:
        fragment = data.ParquetFileFormat().make_fragment(pa.PythonFile(blocks, mode="r"))
        same = _same_in_all(fragment if chosen.filter is None else fragment.subset(chosen.filter), name)
        columns = [column for column in fragment.physical_schema.names if column not in same]
        return fragment.to_table(columns=columns, filter=chosen.filter, use_threads=False), same


def _same_in_all(fragment: pds.ParquetFileFragment, name: str) -> dict[str, object]:
    """The value of each column that has one only, as the statistics of a file of scenes' rows tell it."""
    if "/scenes-" not in name or not fragment.row_groups:
        return {}
    groups = [fragment.metadata.row_group(group.id) for group in fragment.row_groups]
    found: dict[str, object] = {}
    for number, column in enumerate(fragment.physical_schema.names):
        if KINDS.get(column, float) is float or column in (*_DRAWN, "scene"):  # NaN is in no statistics
            continue
        told = [group.column(number).statistics for group in groups]
        if not all(one and one.has_min_max and one.has_null_count and not one.null_count for one in told):
            continue
        ends = {end for one in told for end in (one.min, one.max)}
        if len(ends) == 1 and len(str(value := ends.pop())) <= _WHOLE:  # a longer text might be the beginning of one
            found[column] = value
    return found


def _few(table: pa.Table, part: Mapping[str, Any], other: Mapping[str, pa.Array] | None = None) -> pa.Table:
    """A table of few rows with all columns, texts as such, some of them `other` ones."""
    import pyarrow as pa

    columns: dict[str, Any] = dict.fromkeys(KINDS) | dict(other or {})
    for name, kind in KINDS.items():
        if name in (other or {}):
            continue
        if name in PLACED:
            columns[name] = pa.array([part[name]] * table.num_rows, pa.string())
        else:
            columns[name] = table[name].cast(pa.string()) if kind is str else table[name]
    return pa.table(columns)


def _runs(table: pa.Table, path: Path, shared: dict[str, pd.Index]) -> tuple[np.ndarray, list[pd.Series]]:
    """Where runs of one cell and metric start, and the values of each by scene."""
    import pandas as pd

    starts = np.zeros(table.num_rows, dtype=bool)
    starts[0] = True
    for name in _DRAWN:
        column = table[name].chunk(0)
        if KINDS[name] is str:
            column = (column.dictionary_encode() if name == "metric" else column).indices
        starts[1:] |= np.diff(column.to_numpy(zero_copy_only=False)) != 0
    places = np.flatnonzero(starts)
    values, scenes = table["value"].chunk(0).to_numpy(zero_copy_only=False), table["scene"].chunk(0)
    codes, texts = scenes.indices.to_numpy(zero_copy_only=False), scenes.dictionary.to_pylist()
    by_codes: dict[bytes, pd.Index] = {}
    series = []
    for own, one in zip(np.split(codes, places[1:]), np.split(values, places[1:]), strict=True):
        if (key := own.tobytes()) not in by_codes:
            ids = [texts[code] for code in own]
            if (known := sha256("\0".join(map(str, ids)).encode())) not in shared:
                check_texts(ids, "scene", path)
                shared.setdefault(known, pd.Index(ids))
            by_codes[key] = shared[known]
        series.append(pd.Series(one, index=by_codes[key]))
    return places, series
