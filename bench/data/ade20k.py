"""ADE20K's scene parsing (SceneParse150): 150 classes and 150 for unlabelled pixels; no instances.

Label files hold class number + 1 (1..150) and 0 where nothing is labelled. SPADE, CC-FPSE, SMIS, SDM and GESCO read
them so that the unlabelled come last (`data/ade20k_dataset.py` of SPADE), and none of them has an edge channel here.
"""

from typing import ClassVar

from bench.api.scenes import LabelSpace
from bench.data.coco_stuff import distinct_palette
from bench.data.folder import FolderSource
from bench.data.listing import Listing, find_files, is_folder, pair

#: From `objectInfo150.csv` of the benchmark, the first name of each class.
_LABELS = """
wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, door, table,
mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, field, armchair, seat,
fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, signboard, chest of drawers, counter,
sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, pool table, pillow,
screen door, stairway, river, bridge, bookcase, blind, coffee table, toilet, flower, book, hill, bench, countertop,
stove, palm, kitchen island, computer, swivel chair, boat, bar, arcade machine, hovel, bus, towel, light, truck, tower,
chandelier, awning, streetlight, booth, television receiver, airplane, dirt track, apparel, pole, land, bannister,
escalator, ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything,
swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, cradle, oven, ball, food, step, tank, trade name,
microwave, pot, animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase, traffic light, tray,
ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower, radiator, glass, clock, flag, unlabelled
"""

#: The labels in the order of the authors' networks.
ADE20K = LabelSpace(
    name="ade20k",
    names=tuple(" ".join(_LABELS.split()).split(", ")),
    palette=(*distinct_palette(150), (0, 0, 0)),
    evaluated=tuple(range(150)),
    unknown=150,
    edges=False,
)
#: The authors' names of the splits whose labels are published.
_FOLDERS = {"train": "training", "val": "validation"}


class Ade20k(FolderSource):
    """`images/{training,validation}/*.jpg` with `annotations/{training,validation}/*.png`."""

    name = "ade20k"
    title = "ADE20K"
    guidance = 2.5  # ispamm/GESCO's README
    evaluators: ClassVar = {"depth": ("dpt_large",)}
    label_space = ADE20K
    splits = tuple(_FOLDERS)
    default_size = (256, 256)
    values = (*range(1, 151), 0)
    how_to_get = (
        "unpack http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip; its folder "
        "ADEChallengeData2016 is the root"
    )
    layout = "images/{training,validation}/*.jpg and annotations/{training,validation}/*.png"
    label_remedy = "it has to be a map of the scene parsing benchmark with values 0..150, not of the full data set"

    def available_splits(self) -> list[str]:
        """The splits with a folder of pictures."""
        return [split for split in self.splits if is_folder(self.root / "images" / _FOLDERS[split])]

    def _list(self, split: str) -> Listing:
        images, labels = (self.root / kind / _FOLDERS[split] for kind in ("images", "annotations"))
        places = [str(images / "{id}.jpg"), str(labels / "{id}.png")]
        return pair(find_files(images, [".jpg"]), [("label map", find_files(labels, [".png"]))], places)
