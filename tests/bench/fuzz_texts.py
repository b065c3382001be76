"""Kinds of input that people write or receive as text: bench.toml, results, submissions, specs, options."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

from bench_fakes import METHODS as FAKE_METHODS
from fuzzing import answer, damage, kind, words
from leaderboard_fakes import METHODS, facts_of, rows_of
from mutations import TEXTS, damage_json, damaged_bytes, damaged_text, hostile

from bench.api.files import block_digests
from bench.api.seeding import digest
from bench.results.dataset import RESULTS
from bench.results.files import write_one_file, write_results

# bench.toml

CONFIG = """
[run]
methods = ["fake_pixels:gain=0.5", "fake_maps+fds"]
datasets = ["streets"]
psnr = [10, 1]
scenes = 2
seeds = [0, 1]
metrics = ["FakeMSE"]
split = "auto"
device = "cpu"
jobs = 1
batch_size = 8
backend = "sequential"
profile = "auto"
out = "o"
[channel]
kind = "awgn"
calibration = "paper"
power = "peak"
[data.streets]
size = [32, 64]
[data.cityscapes]
root = "cs"
resize = "spade"
[methods.fake_pixels]
profile = "embedded"
weights_dir = "w"
options = { gain = 0.5 }
[metrics.mIoU.evaluators]
streets = "embedded"
camvid = "hf:folder"
[regress]
alpha = 0.05
floors = { mIoU = 0.01 }
relative_floors = { FID = 0.03 }
warn = { bits = 1.02 }
[train.gesco]
precision = "auto"
validate_every = 10
options = { noise_weights = [1, 1], drop_rate = 0.2 }
"""


@kind("bench.toml")
def damaged_configuration(folder: Path, rng: Random) -> list[str]:
    text = CONFIG.encode()
    if rng.random() < 0.7:
        text = damaged_text(CONFIG, rng).encode("utf-8", "surrogatepass")
    if rng.random() < 0.4:
        text = damaged_bytes(text, rng)
    (folder / "bench.toml").write_bytes(text)
    return rng.choice([["run", "--dry-run"], ["run", "--dry-run"], ["data", "list"], ["data", "check", "streets"]])


# stored results


def stored_results(folder: Path) -> None:
    write_results(rows_of(METHODS, 8), facts_of(METHODS, 8), folder / "o")


def stored_in_one_file(folder: Path) -> None:
    """As earlier versions stored results."""
    stored_results(folder)
    write_one_file(folder / "o", folder / "one.parquet")
    shutil.rmtree(folder / "o")
    (folder / "o").mkdir()
    (folder / "one.parquet").rename(folder / "o" / RESULTS)


def reading_command(rng: Random) -> list[str]:
    return rng.choice(
        [
            ["table", "mIoU", "--out", "o"],
            ["table", "LPIPS", "--out", "o", "--format", rng.choice(["md", "csv", "latex", "html"])],
            ["table", "bits", "--out", "o"],
            ["table", "ablation", "--out", "o"],
            ["table", "mIoU", "--published", "--out", "o"],
            ["sheet", "--out", "o", "--scenes", "1"],
            words("leaderboard export gesco --out x.json --author A --licence MIT --results o"),
            ["regress", "--baseline", "o", "--scenes", "1", "--methods", "fake_pixels"],
        ]
    )


@kind("results.parquet", stored_in_one_file)
def damaged_results(folder: Path, rng: Random) -> list[str]:
    file = folder / "o" / RESULTS
    if rng.random() < 0.4:
        damage(file, rng)
    else:
        rewritten_table(file, rng)
    return reading_command(rng)


@kind("a file of the rows", stored_results)
def damaged_rows(folder: Path, rng: Random) -> list[str]:
    file = rng.choice(sorted((folder / "o").rglob("*.parquet")))
    if rng.random() < 0.4:
        damage(file, rng)
    else:  # and the manifest says of it what its writer wants
        rewritten_table(file, rng)
        manifest = json.loads((folder / "o" / "provenance.json").read_text())
        made = {"bytes": file.stat().st_size, "blocks": block_digests(file.read_bytes())}
        for part in manifest["parts"]:
            part["files"] |= {name: made for name in part["files"] if (folder / "o" / name) == file}
        del manifest["seal"]
        (folder / "o" / "provenance.json").write_text(json.dumps({**manifest, "seal": digest(manifest)}))
    return reading_command(rng)


def rewritten_table(file: Path, rng: Random) -> None:
    """A valid Parquet file with other columns, types or values than results have: sealed as ours are, or of the time
    before there were seals."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from bench.results.parquet import FACTS_KEY, write_sealed

    table = pq.read_table(file)
    for _ in range(rng.randint(1, 3)):
        if not table.num_columns:
            break
        name = rng.choice(table.column_names)
        place = table.column_names.index(name)
        what = rng.randrange(6)
        if what == 0:
            table = table.drop_columns([name])
        elif what == 1:
            table = table.rename_columns([rng.choice(TEXTS[:9]) if c == name else c for c in table.column_names])
        elif what == 2:
            table = table.slice(0, rng.choice([0, 1, 5]))
        elif what == 3:
            table = pa.concat_tables([table, table.slice(0, 3)])
        else:
            value = hostile(rng)
            values = table.column(place).to_pylist()
            if what == 4:
                values = [value] * len(values)
            elif values:
                for _ in range(3):
                    values[rng.randrange(len(values))] = value
            try:
                made = pa.array(values)
            except (pa.ArrowException, OverflowError, UnicodeError, ValueError, TypeError):
                made = pa.array([ascii(v) for v in values])
            table = table.set_column(place, name, made)
    before = file.read_bytes()
    facts = json.loads((table.schema.metadata or {}).get(FACTS_KEY, b"{}"))
    try:
        if rng.random() < 0.5:
            write_sealed(file, [table], facts, [])
        else:
            old = {FACTS_KEY: json.dumps(facts_of(METHODS, 8)).encode()}
            pq.write_table(table.replace_schema_metadata(old), file)
    except (pa.ArrowException, UnicodeError, ValueError, NotImplementedError):  # Parquet has no such type
        file.write_bytes(damaged_bytes(before, rng))


@kind("provenance.json", stored_results)
def damaged_provenance(folder: Path, rng: Random) -> list[str]:
    damage_json(folder / "o" / "provenance.json", rng)
    return reading_command(rng)


# submissions


def submission(folder: Path) -> None:
    stored_results(folder)
    (folder / "o" / "submissions").mkdir()
    made = answer(words("leaderboard export gesco --out mine.json --author Somebody --licence MIT --results o"))
    assert made.code == 0, made.text


@kind("submission", submission)
def damaged_submission(folder: Path, rng: Random) -> list[str]:
    damage_json(folder / "mine.json", rng)
    return ["leaderboard", rng.choice(["check", "add"]), "mine.json", "--results", "o"]


# the command line

#: Few with networks of their own, which take a second to load.
NAMES = ("gesco", "smis", "full_image", *FAKE_METHODS, *FAKE_METHODS, *FAKE_METHODS)
PARTS = (
    *words("+fds -fds -nofds + - : = :steps=2 :steps=0 :steps=-1 :gain=nan :gain=1e999 :guidance=inf :codec=png"),
    *words(":sampler=ddim :pool=max :edges=x :drop_absent=True :weights=x"),
    " ",
)


@kind("method specs", fresh=False)
def odd_spec(folder: Path, rng: Random) -> list[str]:
    spec = rng.choice(NAMES) + "".join(rng.choice(PARTS) for _ in range(rng.randint(0, 4)))
    if rng.random() < 0.5:
        place = rng.randrange(len(spec) + 1)
        spec = spec[:place] + rng.choice(TEXTS) + spec[place + rng.randint(0, 3) :]
    return ["run", "--dry-run", "--scenes", "1", "--psnr", "10", "--metrics", "FakeMSE", "--methods", spec]


OPTIONS = words(
    "--methods --datasets --root --psnr --split --scenes --seeds --metrics --calibration --power --profile --device "
    "--jobs --batch-size --backend --out --config"
)
READING = (
    ("table", ["--out", "--format", "--psnr"]),
    ("plot", ["--out", "--format", "--psnr", "--metrics", "--methods", "--scenes", "--to", "--config"]),
    ("sheet", ["--out", "--scenes", "--psnr", "--config"]),
    ("regress", ["--baseline", "--methods", "--psnr", "--scenes", "--seeds", "--out"]),
)


@kind("options", stored_results)
def odd_options(folder: Path, rng: Random) -> list[str]:
    def value() -> str:
        return rng.choice(
            [*TEXTS, "1", "10", "1,1", "0", "-3", "1e9", "o", ".", "streets", "1.5", ",", "cpu", "fake_pixels"]
        )

    if rng.random() < 0.5:
        chosen = rng.sample(OPTIONS, rng.randint(1, 3))
        safe = ["run", "--dry-run", "--methods", "fake_pixels", "--psnr", "10", "--metrics", "FakeMSE"]
        return [*safe, *(part for option in chosen for part in (option, value()))]
    if rng.random() < 0.7:
        command, options = rng.choice(READING)
        chosen = rng.sample(options, rng.randint(1, 2))
        start = [command, *([value()] if command in ("table", "plot") else [])]
        defaults = ["--baseline" if command == "regress" else "--out", "o"]
        return [*start, *defaults, *(part for option in chosen for part in (option, value()))]
    return rng.choice(
        [
            [value(), value()],
            ["weights", "import", value(), value(), "--dataset", value()],
            ["weights", "verify", "--weights-dir", value()],
            ["data", "check", value(), "--root", value(), "--jobs", "1"],
            ["data", "export", "streets", "e", "--split", value(), "--size", value(), "--limit", "1", "--jobs", "1"],
            ["leaderboard", "check", value()],
            [
                "leaderboard",
                "export",
                value(),
                "--out",
                value(),
                "--author",
                value(),
                "--licence",
                value(),
                "--results",
                "o",
            ],
            ["train", value(), "--dataset", value()],
            ["train", "gesco", "--option", value(), "--steps", value(), "--device", "x"],
            ["ablate", value(), "--scenes", "1"],
            ["speed", "sampling", "--size", value(), "--device", value()],
        ]
    )
