"""Kinds of input that are files of data: weights, data roots, exports, judges' folders, the cache."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
from pathlib import Path
from random import Random

import weights_fakes
from fuzz_texts import stored_results
from fuzzing import answer, any_file, damage, kind, words
from mutations import damage_json, damaged_text, hostile
from safetensors.torch import save_file
from scene_roots import camvid_root, cityscapes_root, coco_official_root, coco_spade_root

# weights


class Executed:
    """Its pickle runs a command when it is read."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch canary",)


def checkpoints(folder: Path) -> None:
    state = weights_fakes.state()
    bad = {**state, "evil": Executed()}
    weights_fakes.save(folder / "zip.pth", state)
    weights_fakes.save(folder / "stream.pth", state, stream=True)
    weights_fakes.save(folder / "evil.pth", bad)
    weights_fakes.save(folder / "evil-stream.pth", bad, stream=True)
    (folder / "plain.pth").write_bytes(pickle.dumps(bad))
    (folder / "packed.pth.gz").write_bytes(gzip.compress((folder / "evil-stream.pth").read_bytes()))
    name = "cityscapes_pretrained/latest_net_G.pth"
    for member, kind_of in (("zip.pth", "good"), ("evil.pth", "evil")):
        data = (folder / member).read_bytes()
        weights_fakes.tarred(folder / f"{kind_of}.tar.gz", {name: data})
        weights_fakes.tarred(folder / f"{kind_of}.tar", {name: data}, mode="w")
        weights_fakes.zipped(folder / f"{kind_of}.zip", {name: data})
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "good.safetensors", {"format": "pt"})


@kind("weights", checkpoints)
def damaged_checkpoint(folder: Path, rng: Random) -> list[str]:
    file = any_file(folder, rng)
    if rng.random() < 0.9:
        damage(file, rng)
    return ["weights", "import", "fake", file.name, "--dataset", "cityscapes", "--weights-dir", "w"]


def installed(folder: Path) -> None:
    weights_fakes.save(folder / "good.pth", weights_fakes.state())
    arguments = ["weights", "import", "fake", str(folder / "good.pth"), "--dataset", "cityscapes"]
    made = answer([*arguments, "--weights-dir", str(folder / "w")])
    assert made.code == 0, made.text
    (folder / "good.pth").unlink()


@kind("model card", installed)
def damaged_card(folder: Path, rng: Random) -> list[str]:
    """What an installed file says about itself is JSON in the header of a safetensors file."""
    file = any_file(folder, rng)
    raw = file.read_bytes()
    if rng.random() < 0.4:
        damage(file, rng)
    else:
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        part = rng.choice(["__metadata__", *header])
        if isinstance(header.get(part), dict) and header[part]:
            key = rng.choice(sorted(header[part]))
            value = hostile(rng)
            header[part][key] = value if rng.random() < 0.3 else json.dumps(value)
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
    return ["weights", rng.choice(["verify", "list"]), "--weights-dir", "w"]


# data roots


def roots(folder: Path) -> None:
    cityscapes_root(folder / "cityscapes")
    for n in range(2):
        polygons = {"imgHeight": 40, "imgWidth": 60, "objects": [{"label": "car", "polygon": [[1, 1], [9, 1], [9, 9]]}]}
        name = f"bonn_{n:06d}_000019_gtFine_polygons.json"
        (folder / "cityscapes" / "gtFine" / "val" / "bonn" / name).write_text(json.dumps(polygons))
    camvid_root(folder / "camvid")
    coco_spade_root(folder / "spade")
    coco_official_root(folder / "coco", True)


ROOTS = {"cityscapes": "cityscapes", "camvid": "camvid", "spade": "coco_stuff", "coco": "coco_stuff"}


def data_check(root: str) -> list[str]:
    return words(f"data check {ROOTS[root]} --root {root} --jobs 1 --quiet")


def data_command(root: str, rng: Random) -> list[str]:
    if rng.random() < 0.6:
        return data_check(root)
    run = [
        "run",
        "--datasets",
        ROOTS[root],
        "--root",
        root,
        "--scenes",
        "1",
        "--psnr",
        "10",
        "--methods",
        "fake_pixels",
    ]
    return [*run, "--metrics", "FakeMSE", "--backend", "sequential", "--jobs", "1", "--dry-run"]


@kind("pictures of a data root", roots)
def damaged_pictures(folder: Path, rng: Random) -> list[str]:
    root = rng.choice(sorted(ROOTS))
    damage(any_file(folder / root, rng), rng)
    return data_command(root, rng)


@kind("annotations of a data root", roots)
def damaged_annotations(folder: Path, rng: Random) -> list[str]:
    root = rng.choice(["coco", "coco", "cityscapes"])
    damage_json(rng.choice(sorted((folder / root).rglob("*.json"))), rng)
    return data_command(root, rng)


# an exported data set, and labels of a judge


def exported(folder: Path) -> None:
    made = answer(words("data export streets x --split val --limit 1 --size 32x64 --jobs 1 --quiet"))
    assert made.code == 0, made.text


@kind("dataset.json of an export", exported)
def damaged_export(folder: Path, rng: Random) -> list[str]:
    damage_json(rng.choice(sorted((folder / "x").rglob("*.json"))), rng)
    if rng.random() < 0.3:
        return words("data export streets x --split val --limit 2 --size 32x64 --jobs 1 --quiet")
    return ["data", "check", "cityscapes", "--root", "x", "--jobs", "1", "--quiet"]


LABELS = 'unanswered = ["caravan"]\n[classes]\n"tree-merged" = "vegetation"\n"street" = "road"\n'


def judge_folder(folder: Path) -> None:
    """A tiny segmenter of transformers, whose names for two classes are its own."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    from bench.data.cityscapes import CITYSCAPES

    theirs = {"vegetation": "tree-merged", "road": "street"}
    names = [CITYSCAPES.names[label] for label in CITYSCAPES.evaluated]
    named = {n: theirs.get(name, name) for n, name in enumerate(names) if name != "caravan"}
    network = SegformerForSemanticSegmentation(
        SegformerConfig(
            depths=[1, 1, 1, 1], hidden_sizes=[4, 4, 4, 4], num_attention_heads=[1, 1, 1, 1], sr_ratios=[1, 1, 1, 1],
            mlp_ratios=[1, 1, 1, 1], decoder_hidden_size=4, id2label=named, label2id={v: k for k, v in named.items()},
        )
    )  # fmt: skip
    network.save_pretrained(folder / "judge")
    SegformerImageProcessor(do_reduce_labels=False, size={"height": 32, "width": 64}).save_pretrained(folder / "judge")
    (folder / "judge" / "labels-streets.toml").write_text(LABELS)
    (folder / "bench.toml").write_text('[metrics.mIoU.evaluators]\nstreets = "hf:judge"\n')


@kind("labels-DATASET.toml and a judge's files", judge_folder)
def damaged_judge(folder: Path, rng: Random) -> list[str]:
    file = folder / "judge" / rng.choice(["labels-streets.toml", "config.json", "preprocessor_config.json"])
    if file.suffix == ".toml":
        file.write_bytes(damaged_text(LABELS, rng).encode("utf-8", "surrogatepass"))
    else:
        damage_json(file, rng)
    methods = ["--methods", "fake_pixels", "--scenes", "1", "--psnr", "10"]
    return ["run", *methods, "--metrics", "mIoU", "--backend", "sequential", "--jobs", "1", "--dry-run"]


# the cache


RUN = words(
    "run --methods fake_pixels --psnr 10 --scenes 2 --metrics FakeMSE --out o --backend sequential --jobs 1"
)  # fmt: skip


def cached(folder: Path) -> None:
    (folder / "bench.toml").write_text("[data.streets]\nsize = [32, 64]\n")
    made = answer(RUN)
    assert made.code == 0, made.text
    for plot in (folder / "o" / "plots").glob("*"):
        plot.unlink()


@kind("the cache", cached)
def damaged_cache(folder: Path, rng: Random) -> list[str]:
    file = rng.choice(sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".npz") and p.parent.name != "o"))
    if file.suffix == ".json":
        damage_json(file, rng)
    else:
        damage(file, rng)
    if rng.random() < 0.8:
        return [*RUN, "--dry-run"]
    return RUN if rng.random() < 0.5 else ["sheet", "--out", "o", "--scenes", "1", "--psnr", "10"]


# what is no file


def everything(folder: Path) -> None:
    checkpoints(folder)
    stored_results(folder)
    (folder / "o" / "submissions").mkdir()
    roots(folder)
    cached(folder)
    (folder / "mine.json").write_text("{}")


#: A file, and a command that reads it.
READ = {
    "bench.toml": words("run --dry-run"),
    "zip.pth": words("weights import fake zip.pth --dataset cityscapes --weights-dir w"),
    "good.tar": words("weights import fake good.tar --dataset cityscapes --weights-dir w"),
    "w": words("weights import fake zip.pth --dataset cityscapes --weights-dir w"),
    "mine.json": words("leaderboard check mine.json --results o"),
    "o/submissions": words("leaderboard check --results o"),
    "o/rows": words("table mIoU --out o"),
    "o/provenance.json": words("table mIoU --out o"),
    "o": words("table mIoU --out o"),
    "o/cells": RUN,
    "o/metrics": RUN,
    "cityscapes/gtFine/val/bonn/bonn_000000_000019_gtFine_labelIds.png": data_check("cityscapes"),
    "cityscapes/leftImg8bit": data_check("cityscapes"),
    "camvid/train/0001TP_000000.png": data_check("camvid"),
    "coco/annotations/instances_val2017.json": data_check("coco"),
    "spade": data_check("spade"),
}


@kind("pipes, devices and folders in place of files", everything)
def no_file(folder: Path, rng: Random) -> list[str]:
    name = rng.choice(sorted(READ))
    place = folder / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    what = rng.randrange(6)
    if what == 0:
        os.mkfifo(place)
    elif what == 1:
        place.mkdir()
    elif what == 2:
        place.write_bytes(b"")
    else:
        place.symlink_to(["/dev/zero", "/dev/full", "nowhere"][what - 3])
    return READ[name]
