"""The paper's tables, measured: what each holds, ranks, the published values beside it, and five formats."""

from bench.tables.build import metric_tables
from bench.tables.compare import comparison
from bench.tables.formats import FORMATS, as_sheets, check_format, render, render_sheets
from bench.tables.model import Table
from bench.tables.named import NAMED, named_tables, read_for_table, tables_of

__all__ = [
    "FORMATS",
    "NAMED",
    "Table",
    "as_sheets",
    "check_format",
    "comparison",
    "metric_tables",
    "named_tables",
    "read_for_table",
    "render",
    "render_sheets",
    "tables_of",
]
