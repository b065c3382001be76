"""`bench data list`: every data set, where it is, and what it holds."""

import pytest
from scene_roots import camvid_root
from typer.testing import CliRunner

from bench.api.errors import UsageError
from bench.api.registry import DATASETS
from bench.cli.data import app


@pytest.fixture
def listed(monkeypatch, tmp_path):
    """The table's lines, with the roots of the keyword arguments in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(**roots: object) -> str:
        for name in DATASETS.names():
            monkeypatch.delenv(f"GESCO_BENCH_{name.upper()}_ROOT", raising=False)
        for name, root in roots.items():
            monkeypatch.setenv(f"GESCO_BENCH_{name.upper()}_ROOT", str(root))
        result = CliRunner().invoke(app, ["list"])
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_every_data_set_is_listed_with_its_need(listed):
    text = listed()
    assert all(name in text for name in DATASETS.names())
    assert "GESCO_BENCH_CITYSCAPES_ROOT" in text
    assert "embedded" in text


def test_scenes_of_a_root_are_counted(listed, tmp_path):
    root = camvid_root(tmp_path / "camvid")
    (root / "trainannot/0001TP_000000.png").unlink()
    text = listed(camvid=root)
    assert "test 1" in text
    assert "train 1 (1 problem)" in text


def test_a_root_in_brackets_is_shown_as_it_is(listed, tmp_path):
    assert "[bold]" in listed(camvid=camvid_root(tmp_path / "[bold]"))


def test_a_root_that_is_gone_is_said_to_be(listed, tmp_path):
    assert "is not a folder" in listed(camvid=tmp_path / "gone")


def test_bench_toml_gives_root_and_size(listed, tmp_path):
    root = camvid_root(tmp_path / "camvid")
    (tmp_path / "bench.toml").write_text(f'[data.camvid]\nroot = "{root}"\nsize = [96, 128]\n')
    text = listed()
    assert "96x128" in text
    assert "train 2" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "camvids"], "did you mean 'camvid'"),
        (["export", "streets", "x", "--split", "tset"], "did you mean 'test'"),
        (["export", "streets", "x", "--split", "test", "--size", "64"], "for example 256x512"),
        (["export", "streets", "x", "--split", "test", "--size", "0x5"], "for example 256x512"),
    ],
)
def test_what_does_not_exist_is_a_usage_error_and_writes_nothing(monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert list(tmp_path.iterdir()) == []
