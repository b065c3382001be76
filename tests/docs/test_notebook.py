"""The notebook: short, stored without outputs, and run from its first cell to its last."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "how-to" / "notebook.ipynb"
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (the extra `test` has it)")


def test_it_has_at_most_fifteen_cells_and_no_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert len(notebook.cells) <= 15
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert max(len(line) for cell in notebook.cells for line in cell.source.splitlines()) <= 120


@pytest.mark.slow
def test_it_ends_with_a_methods_own_row_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (the extra `test` has it)")
    for name in ("XDG_STATE_HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = tmp_path / "work"
    folder.mkdir()
    nbclient.NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [
        "".join(output.get("data", {}).get("text/html", "") for output in cell.get("outputs", ()))
        for cell in notebook.cells
    ]
    tables = [html for html in shown if "<table" in html]
    assert any("palette_paint+fds" in html and "Unpackaged: the method palette_paint" in html for html in tables)
    assert any("95 % interval" in html and "palette_paint+fds less full_image" in html for html in tables)
    assert sum("data:image/png;base64," in html for html in shown) == 2
    assert any("<progress" in html and "cells, in" in html for html in shown)
    assert [path.suffix for path in (folder / "notebook" / "paper").iterdir()] == [".pdf"]
