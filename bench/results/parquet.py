"""Results in one file, as earlier versions wrote them and leaderboards offer them: sealed, checked before use.

The seal stands in the file's own metadata: SHA-256 of the file with 64 zeros in the place of the digest. So one rename
replaces numbers, provenance and seal together, and a single flipped bit anywhere is noticed. Parquet's page checksums
would leave the footer (types, statistics, provenance) unprotected.

A seal is no signature. What a stranger's file says is text for terminals, Markdown and pages, so it has to be printable
and short; numbers have to be numbers.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bench.api.errors import BenchError
from bench.api.files import sha256

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

log = logging.getLogger("bench")

FACTS_KEY = b"gesco_bench"
SEAL_KEY = b"gesco_bench_sha256"
_BLANK = b"0" * 64
#: Between a key and its value in Parquet's metadata: the field's header and the value's length, a byte each.
_GAP = 2
#: 50 methods x 7 PSNRs x 500 scenes x 10 metrics are 1.75 million rows.
MOST_ROWS = 5_000_000


def write_sealed(path: Path, tables: Iterable[pa.Table], facts: dict[str, Any], split: Sequence[str]) -> None:
    """Write tables of one schema as one sealed file with their provenance.

    Columns of `split` are stored by bytes, which packs floats that hardly repeat.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None
    for table in tables:
        if writer is None:
            told = {FACTS_KEY: json.dumps(facts, indent=1).encode(), SEAL_KEY: _BLANK}
            texts = [f.with_type(pa.string()) if pa.types.is_dictionary(f.type) else f for f in table.schema]
            schema = pa.schema(texts, {**(table.schema.metadata or {}), **told})
            plain = [name for name in table.column_names if not any(s.startswith(f"{name}.") for s in split)]
            writer = pq.ParquetWriter(
                path, schema, compression="zstd", use_dictionary=plain, use_byte_stream_split=list(split) or False
            )
        writer.write_table(table.cast(schema))
    if writer is not None:
        writer.close()
        _seal(path)


def _seal(path: Path) -> None:
    with path.open("r+b") as file:
        whole = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        footer = _footer(file, size)
        place = size - len(footer) + _place(footer)
        if footer[_place(footer) : _place(footer) + 64] != _BLANK:
            raise BenchError(
                "this version of pyarrow lays Parquet's metadata out in an unknown way: install another one"
            )
        file.seek(place)
        file.write(whole.encode())


def _footer(file: BinaryIO, size: int) -> bytes:
    file.seek(size - 8)
    length = int.from_bytes(file.read(4), "little") + 8
    file.seek(size - length)
    return file.read(length)


def _place(data: bytes | bytearray) -> int:
    """Where the digest of a file with a seal stands."""
    return data.rfind(SEAL_KEY) + len(SEAL_KEY) + _GAP


def intact(data: bytes) -> bool:
    """Whether the file is what was sealed."""
    place = _place(data)
    return sha256(data[:place] + _BLANK + data[place + 64 :]).encode() == data[place : place + 64]


def unpack(
    data: bytes, path: Path, newest: int, only: Callable[[list[str]], Collection[str]] | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows (columns of texts, numbers, truths, lists of numbers) and provenance in the bytes of the file `path`.

    `only` says of the scores in a file of schema `newest` whose rows are wanted. BenchError for a file that is damaged,
    not ours, of a schema after `newest`, or too large.
    """
    import pyarrow as pa
    import pyarrow.compute as compute
    import pyarrow.parquet as pq

    remedy = "the same `bench run` again, with --replace, writes it anew"
    if SEAL_KEY in data and not intact(data):
        raise BenchError(f"{path} is damaged: it is not what was written (its SHA-256 differs); {remedy}")
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        facts = json.loads((file.schema_arrow.metadata or {})[FACTS_KEY])
        version = facts.get("schema", 1)
        if not isinstance(version, int) or isinstance(version, bool):
            raise ValueError("its schema is no number")
        rows = file.metadata.num_rows
        frame = None
        if rows <= MOST_ROWS and version <= newest:
            table = file.read([field.name for field in file.schema_arrow if _plain(field.type)])
            if only is not None and version == newest:
                there = [name for name in table["metric"].unique().to_pylist() if isinstance(name, str)]
                table = table.filter(compute.is_in(table["metric"], pa.array(only(there), pa.string())))
            frame = table.to_pandas()
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BenchError(f"{path} is damaged or not ours ({error}); {remedy}") from None
    if version > newest:
        raise BenchError(
            f"{path} has schema {version}, and this gesco-bench reads schemas up to {newest}: install a newer one"
        )
    if version > 1 and SEAL_KEY not in data:
        raise BenchError(f"{path} is damaged: its seal (SHA-256) is missing; {remedy}")
    if frame is None:
        raise BenchError(f"{path} has {rows:,} rows; at most {MOST_ROWS:,} are read")
    if version == 1 and SEAL_KEY not in data:
        log.warning(
            "%s was written by an older gesco-bench, without a digest: nothing tells whether it is intact", path
        )
    return frame, printable(facts)


def _plain(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    if kinds.is_list(kind):
        return bool(kinds.is_floating(kind.value_type))
    checks = (kinds.is_string, kinds.is_large_string, kinds.is_integer, kinds.is_floating, kinds.is_boolean)
    return any(check(kind) for check in checks)


def printable(value: Any) -> Any:
    """JSON data with every text in it fit for a terminal: line breaks are spaces, other control characters escapes."""
    if isinstance(value, str):
        if value.isprintable():
            return value
        text = " ".join(value.split())
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    if isinstance(value, dict):
        return {printable(key): printable(part) for key, part in value.items()}
    return [printable(part) for part in value] if isinstance(value, list) else value
