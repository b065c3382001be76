"""Figures: of numbers from results.parquet alone, of pictures from the cache or computed again for a few scenes."""

from bench.figures.catalogue import FIGURES, FORMATS, check_formats, draw_figure, find_figures, save

__all__ = ["FIGURES", "FORMATS", "check_formats", "draw_figure", "find_figures", "save"]
