"""bench.toml: the documented defaults are the real ones, and mistakes in it are named with the nearest key."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bench.api.errors import UsageError
from bench.api.scores import COSTS, score_info
from bench.channels.registry import build_channel
from bench.config import Config, load_config, read_config

ROOT = Path(__file__).parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "bench.toml"
    path.write_text(text)
    return path


def test_the_documented_defaults_are_the_defaults() -> None:
    documented, default = read_config(ROOT / "bench.toml"), Config()
    assert documented.run.model_copy(update={"out": default.run.out}) == default.run
    assert documented.run.out == ROOT / default.run.out
    channels = [build_channel(config.channel.kind, None, config.channel.options) for config in (documented, default)]
    assert channels[0] == channels[1]


def test_the_examples_in_comments_are_valid_and_their_floors_are_the_defaults(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=\[|\w+ = )", "", (ROOT / "bench.toml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    config = read_config(write(tmp_path, text))
    assert config.metrics["mIoU"].evaluators["cityscapes"] == "drn_d_105@full"
    assert config.train["gesco"].options["drop_rate"] == 0.2
    named = {**config.regress.floors, **config.regress.relative_floors}
    assert set(named) == {"mIoU", "LPIPS", "KID", "FID"}
    for name, floor in named.items():
        declared = score_info(name if name in ("mIoU", "LPIPS") else f"{name}[lite0]")
        assert (declared.floor, declared.relative) == (floor, name in config.regress.relative_floors)
    assert config.regress.warn == {name: 1 + info.floor for name, info in COSTS.items()}


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config() == Config()


def test_the_working_folder_is_looked_at_and_a_named_file_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "[run]\nscenes = 5\n")
    (tmp_path / "other.toml").write_text("[run]\nscenes = 6\n")
    assert load_config().run.scenes == 5
    assert load_config(tmp_path / "other.toml").run.scenes == 6


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[run]\nout = "here"\n[data.cityscapes]\nroot = "cs"\n[methods.smis]\nweights_dir = "w"\n')
    config = read_config(path)
    assert config.run.out == tmp_path / "here"
    assert config.data["cityscapes"].root == tmp_path / "cs"
    assert config.methods["smis"].weights_dir == tmp_path / "w"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[run]\nscene = 3\n", "unknown key 'scene' in [run] of {path}; did you mean 'scenes'?"),
        ("[runn]\nscenes = 3\n", "unknown key 'runn' in {path}; did you mean 'run'?"),
        (
            "[channel]\ncalibrate = 'eq1'\n",
            "unknown key 'calibrate' in [channel] of {path}; did you mean 'calibration'?",
        ),
        ("[metrics.mIoU.judges]\nx = 'y'\n", "'judges' in [metrics.mIoU] of {path} is called 'evaluators' now"),
        ("[data.camvid]\nrooot = 'x'\n", "unknown key 'rooot' in [data.camvid] of {path}; did you mean 'root'?"),
        ("[methods.smis]\noption = {}\n", "unknown key 'option' in [methods.smis] of {path}; did you mean 'options'?"),
        ("[run]\nscenes = 0\n", "run.scenes in {path}"),
        ("[run]\nscenes = 'many'\n", "run.scenes in {path}"),
        ("[run]\nscenes = []\n", "run.scenes in {path}: Input should be a valid integer (it is [])"),
        ("[run]\nmethods = 'all'\n", "run.methods in {path}"),
        ("[run]\nout = 1\n", "run.out in {path}"),
        ("[run]\nout = 'a\\u0000'\n".replace("'", '"'), "run.out in {path}: Value error, a path has no zero byte"),
        ("[run]\nout = '~nobody-here/x'\n", "run.out in {path}: Value error, Could not determine home directory"),
        ("[data]\nstreets = 3\n", "data.streets in {path}"),
        ("run = 3\n", "run in {path}"),
        ("[regress]\nalpha = nan\n", "regress.alpha in {path}"),
        ("[run]\nscenes = " + "9" * 5000 + "\n", "{path} is not valid TOML: Exceeds the limit"),
        ("[run]\nscenes = 0x" + "f" * 5000 + "\n", "run.scenes in {path}: Input should be less than"),
        ("a = " + "[" * 3000 + "]" * 3000 + "\n", "{path} is nested too deeply"),
        ("[run\n", "{path} is not valid TOML"),
    ],
)
def test_mistakes_are_one_line_with_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as error:
        read_config(path)
    assert told.format(path=path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_named_file_that_is_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no configuration file .*absent\.toml"):
        load_config(tmp_path / "absent.toml")


def test_a_long_wrong_value_does_not_fill_the_screen(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        read_config(write(tmp_path, f"[run]\nscenes = '{'x' * 5000}'\n"))
    assert len(str(error.value)) < 300 + len(str(tmp_path))


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "bench.toml").write_bytes(b"\xef\xbb\xbf[run]\nscenes = 5\n")
    assert read_config(tmp_path / "bench.toml").run.scenes == 5


def test_other_encodings_are_told(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_bytes("[run]\nout = 'ä'\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"is not valid TOML, which is UTF-8: .* at byte 13"):
        read_config(path)


def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bench.toml").mkdir()
    for path, told in ((tmp_path / "pipe", "a device or pipe"), (Path("/dev/zero"), "a device or pipe")):
        with pytest.raises(UsageError, match=f"{path} is not a file but {told}"):
            read_config(path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"bench.toml is not a file but a folder"):
        load_config()
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * 1_000_001)
    with pytest.raises(UsageError, match="has more than 1,000,000 bytes"):
        read_config(large)
