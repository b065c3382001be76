"""Figures: of numbers from results.parquet alone, of pictures from the cache or computed again for a few scenes."""

from bench.figures.catalogue import FIGURES, check_formats, draw_figure, find_figures, save
from bench.results.request import Request, read_request

__all__ = ["FIGURES", "Request", "check_formats", "draw_figure", "find_figures", "read_request", "save"]
