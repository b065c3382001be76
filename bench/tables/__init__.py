"""The paper's tables, measured: what each holds, ranks, the published values beside it, and five formats."""

from bench.tables.build import metric_tables
from bench.tables.formats import FORMATS, check_format, render
from bench.tables.model import Table
from bench.tables.named import NAMED, named_tables, read_for_table

__all__ = ["FORMATS", "NAMED", "Table", "check_format", "metric_tables", "named_tables", "read_for_table", "render"]
