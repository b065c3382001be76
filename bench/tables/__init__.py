"""The paper's tables, measured: what each holds, ranks, the published values beside it, and five formats."""

from bench.tables.build import metric_tables
from bench.tables.compare import comparison, read_comparison
from bench.tables.formats import FORMATS, as_sheets, check_format, csv_facts, render, render_sheets
from bench.tables.model import Table
from bench.tables.named import NAMED, named_tables, read_for_table, tables_of
from bench.tables.text import Layout, in_columns

__all__ = [
    "FORMATS",
    "NAMED",
    "Layout",
    "Table",
    "as_sheets",
    "check_format",
    "comparison",
    "csv_facts",
    "in_columns",
    "metric_tables",
    "named_tables",
    "read_comparison",
    "read_for_table",
    "render",
    "render_sheets",
    "tables_of",
]
