"""Weights of one's own: used where they are named, as what they were trained for, never in place of shipped ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer

from bench.api.errors import MethodError, UsageError
from bench.api.files import file_digest
from bench.api.method import MethodContext
from bench.api.specs import parse_spec
from bench.api.tensors import read_weights, write_weights
from bench.api.weights import CARD, MANIFEST, METHOD_WEIGHTS, find_weights, read_record
from bench.config import Config
from bench.data.cityscapes import CITYSCAPES
from bench.run.plan import Cell, make_plan
from bench.run.setting import method_setting
from methods.gesco.method import Gesco

Cli = Callable[..., Answer]
FILE = "gesco-streets-64x128.safetensors"
SHIPPED = file_digest(METHOD_WEIGHTS / FILE)


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of weights."""
    monkeypatch.setenv("GESCO_BENCH_WEIGHTS", str(tmp_path / "user"))
    return tmp_path / "user"


def trained(path: Path, record: str = "card", **card: Any) -> Path:
    """Weights of the shipped network with another card (or record of an import)."""
    tensors, _ = read_weights(METHOD_WEIGHTS / FILE)
    write_weights(path, tensors, {record: {**read_record(METHOD_WEIGHTS / FILE, CARD), "steps": 40, **card}})
    return path


def cells(run: Mapping[str, Any], methods: Mapping[str, Any] | None = None) -> tuple[Cell, ...]:
    config = Config.model_validate(
        {
            "run": {"methods": ("gesco",), "scenes": 1, "psnr": (10.0,), "metrics": (), "device": "cpu", **run},
            "methods": methods or {},
        }
    )
    return make_plan(config).cells


def of(dataset: str, spec: str = "gesco", **run: Any) -> MethodContext:
    """The context in which a spec would be built on a data set at 64x128."""
    config = Config.model_validate({"run": run})
    return method_setting(parse_spec(spec), config, MethodContext(dataset, CITYSCAPES, 64, 128)).context


@pytest.mark.parametrize("method", ["gesco", "sdm", "spade"])
def test_shipped_weights_are_not_sampled_under_another_profile(method: str) -> None:
    with pytest.raises(
        UsageError, match=r"was trained with the profile 'embedded', so that 'paper' would sample it as"
    ):
        cells({"methods": (method,), "profile": "paper"})


def test_the_profile_of_a_section_contradicts_the_card_too() -> None:
    with pytest.raises(UsageError, match="was trained with the profile 'embedded'"):
        cells({}, {"gesco": {"profile": "paper"}})


def test_auto_is_the_profile_of_the_weights_that_are_found(user: Path) -> None:
    assert (of("camvid").profile, of("camvid", "full_image").profile) == ("paper", "paper")
    assert (of("streets").profile, of("streets", "full_image").profile) == ("embedded", "embedded")
    trained(user / "mine" / "gesco-camvid-64x128.safetensors", dataset="camvid")
    assert of("camvid", "gesco:weights=mine").profile == "embedded"
    trained(user / "gesco-camvid-64x128.safetensors", MANIFEST, dataset="camvid", profile="paper")
    assert of("camvid").profile == "paper"
    assert of("camvid", profile="embedded").profile == "embedded"  # and building it is refused


def test_how_a_network_is_sampled_comes_from_its_card(user: Path) -> None:
    recipe = {**read_record(METHOD_WEIGHTS / FILE, CARD)["recipe"], "kl_weight": 0}
    sampling = {"sampler": "ddim", "sampling_steps": 7}
    trained(user / "mine" / FILE, recipe={**recipe, "edges": "clipped"}, sampling=sampling)
    method = Gesco(MethodContext("streets", CITYSCAPES, 64, 128, weights="mine"))
    shown = {key: method.options[key] for key in ("sampler", "steps", "variance", "edges")}
    assert shown == {"sampler": "ddim", "steps": 7, "variance": "fixed_small", "edges": "clipped"}
    assert Gesco(method.context, {"steps": 3, "edges": "instances"}).options["steps"] == 3
    trained(user / "epsilon" / FILE, recipe={**recipe, "prediction": "epsilon"})
    assert Gesco(replace(method.context, weights="epsilon")).profile.prediction == "epsilon"
    trained(user / "odd" / FILE, recipe={**recipe, "prediction": "colours"})
    with pytest.raises(MethodError, match=r"prediction of the card of .*odd"):
        Gesco(replace(method.context, weights="odd"))


def test_a_trial_training_changes_no_later_run(
    cli: Cli, user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "defaults.toml").touch()
    small = ("--option", "width=8", "--option", "multipliers=1,2", "--option", "head_channels=8")
    trial = ("train", "gesco", "--steps", "1", "--scenes", "8", "--threads", "1", "--device", "cpu", *small)
    common = ("--sample-every", "0", "--config", str(tmp_path / "defaults.toml"))
    answer = cli(*trial, *common)
    assert answer.code == 0, answer.err
    assert f"wrote {user / 'own' / FILE}" in answer.out
    assert "to use it: bench run --datasets streets --methods gesco:weights=own\n" in answer.out
    shipped, own = cells({"methods": ("gesco", "gesco:weights=own")})
    assert (shipped.method.spec, shipped.method.identity["weights_sha256"]) == ("gesco", SHIPPED)
    assert own.method.identity["weights_sha256"] == file_digest(user / "own" / FILE)
    assert set(read_record(user / "own" / FILE, CARD)["sampling"]) >= {"prediction", "variance", "edges", "sampler"}
    again = cli(*trial, "--seed", "1", "--out", str(tmp_path / "other"), *common)
    assert again.code == 2
    assert "holds the weights of another training (seed was 0, now 1); give these another --name" in again.err
    assert not (tmp_path / "other" / "checkpoint.pt").exists()


@pytest.mark.parametrize("record", ["card", MANIFEST])
def test_a_file_among_the_users_weights_never_stands_in_for_a_shipped_one(user: Path, record: str) -> None:
    trained(user / FILE, record)
    assert find_weights("gesco", MethodContext("streets", CITYSCAPES, 64, 128)) == METHOD_WEIGHTS / FILE


def test_where_nothing_ships_an_import_is_found_and_a_training_has_to_be_named(user: Path) -> None:
    context = MethodContext("camvid", CITYSCAPES, 64, 128)
    file = user / "gesco-camvid-64x128.safetensors"
    trained(file)
    trained(user / "mine" / file.name)
    with pytest.raises(
        MethodError, match=rf"{file.name} is of a training: move it.*gesco:weights=NAME \(there are: mine"
    ):
        find_weights("gesco", context)
    trained(file, MANIFEST)
    assert find_weights("gesco", context) == file
    with pytest.raises(MethodError, match=r"no weights named 'yours' for 'gesco' on camvid at 64x128: there is no"):
        find_weights("gesco", replace(context, weights="yours"))


def test_own_weights_stand_in_the_spec_however_they_were_named(user: Path, tmp_path: Path) -> None:
    trained(user / "mine" / FILE)
    trained(tmp_path / "elsewhere" / "mine" / FILE)
    folder = str(tmp_path / "elsewhere" / "mine")
    ways = {
        "spec": cells({"methods": ("gesco:weights=mine",)}),
        "options": cells({}, {"gesco": {"options": {"weights": "mine"}}}),
        "section": cells({}, {"gesco": {"weights_dir": folder}}),
        "folder": cells({"weights_dir": folder, "methods": ("gesco", "gesco:weights=mine")}),
        "folder of folders": cells({"weights_dir": str(user), "methods": ("gesco:weights=mine",)}),
    }
    for way, planned in ways.items():
        assert [cell.method.spec for cell in planned] == ["gesco:weights=mine"], way
        assert planned[0].method.identity["weights_sha256"] != SHIPPED, way
        assert "weights" not in planned[0].method.identity["options"], way
    beside = cells({"weights_dir": folder, "methods": ("gesco", "smis")})  # the folder has no smis
    assert [cell.method.spec for cell in beside] == ["gesco:weights=mine", "smis"]


def test_a_folder_of_weights_that_is_of_no_use_is_named(tmp_path: Path) -> None:
    trained(tmp_path / "my weights" / FILE)
    for folder, told in (
        (tmp_path / "my weights", "cannot be named in a spec"),
        (tmp_path / "absent", "--weights-dir: .*absent is not there"),
        (tmp_path / "my weights" / FILE, "is no folder"),
        (tmp_path, "has weights of none of the methods gesco"),
    ):
        with pytest.raises(UsageError, match=told):
            cells({"weights_dir": str(folder)})
    with pytest.raises(UsageError, match=r"weights_dir of \[methods.gesco\]: .*absent is not there"):
        cells({}, {"gesco": {"weights_dir": str(tmp_path / "absent")}})


@pytest.mark.parametrize(
    ("fact", "told"),
    [({"method": "sdm"}, "another method, 'sdm'"), ({"dataset": "stuff"}, "another dataset, 'stuff'"),
     ({"size": [32, 64]}, "another size, '32x64'")],
)  # fmt: skip
def test_weights_of_something_else_under_this_name_are_refused(user: Path, fact: dict[str, Any], told: str) -> None:
    trained(user / "mine" / FILE, **fact)
    with pytest.raises(UsageError, match=f"holds weights of {told}, as it says itself"):
        cells({"methods": ("gesco:weights=mine",)})


@pytest.mark.parametrize(
    "spec", ["gesco:weights=../x", "gesco:weights=.x", "gesco:weights=a/b", "full_image:weights=x"]
)
def test_what_cannot_name_weights_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"cannot name weights|unknown option 'weights' of full_image"):
        cells({"methods": (spec,)})


def test_a_training_does_not_replace_what_ships(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "defaults.toml").touch()
    arguments = ("--steps", "1", "--scenes", "8", "--threads", "1", "--out", str(tmp_path / "run"))
    config = ("--config", str(tmp_path / "defaults.toml"))
    answer = cli("train", "gesco", *arguments, *config, "--device", "cpu", "--weights-dir", str(METHOD_WEIGHTS))
    assert answer.code == 2
    assert f"{METHOD_WEIGHTS / FILE} comes with the benchmark and is not replaced" in answer.err
    assert file_digest(METHOD_WEIGHTS / FILE) == SHIPPED


def test_a_training_that_could_not_be_written_down_is_refused_before_it(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = cli("train", "gesco", "--weights-dir", str(tmp_path / "file" / "below"))
    assert (answer.code, "which is a file" in answer.err) == (2, True)
    answer = cli("train", "gesco", "--name", "a b")
    assert (answer.code, "--name 'a b'" in answer.err) == (2, True)


def test_own_weights_are_listed_with_the_spec_that_uses_them(cli: Cli, user: Path) -> None:
    trained(user / "mine" / FILE)
    trained(user / FILE)
    items = json.loads(cli("weights", "list", "--format", "json").out)
    states = {item["path"]: (item["state"], item["note"]) for item in items if item["file"] == FILE}
    assert states[str(METHOD_WEIGHTS / FILE)][0] == "packaged"
    assert states[str(user / "mine" / FILE)] == ("own", "use it as gesco:weights=mine")
    assert states[str(user / FILE)][0] == "unused"
    answer = cli("weights", "list", "--weights-dir", str(user / "absent"))
    assert (answer.code, "absent is not there" in answer.err) == (2, True)
