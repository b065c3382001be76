"""The 91 classes of stuff: each a texture family, its period and its colours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ground:
    """How a class of stuff looks.

    `pattern` names an entry of `patterns.PATTERNS`; `period` is in picture heights; `tilt` the middle angle in degrees
    and `swing` how far it varies to either side; `colours` are tones 0, 1 and 2.
    """

    pattern: str
    period: float
    colours: tuple[str, ...]
    tilt: float = 0.0
    swing: float = 6.0


def _ground(pattern: str, period: float, colours: str, tilt: float = 0.0, swing: float = 6.0) -> Ground:
    return Ground(pattern, period, tuple(colours.split()), tilt, swing)


GROUNDS: dict[str, Ground] = {
    "banner": _ground("bands", 0.24, "d62839 fff6f0 2541b2", 45),
    "blanket": _ground("plaid", 0.17, "b3304a f0c9a0 4a1a2c", 12),
    "branch": _ground("twigs", 0.2, "d5e6e0 5b3a1e 8fb56a"),
    "bridge": _ground("truss", 0.24, "b6c4d6 44546e 2a3448"),
    "building-other": _ground("windows", 0.15, "c08a6a 3f4a63 f6dc8a", 0, 2),
    "bush": _ground("confetti", 0.075, "1f5a2a 338a3f 123c1c"),
    "cabinet": _ground("panels", 0.3, "94602f 6a3f1c f0dca8", 0, 3),
    "cage": _ground("lattice", 0.12, "d9c793 232323", 0, 5),
    "cardboard": _ground("stripes", 0.075, "cfa370 a97b4a", 0, 12),
    "carpet": _ground("speckles", 0.035, "7d2b40 9c4a60 5c1a2c"),
    "ceiling-other": _ground("veil", 0.3, "e6ddca f2ecde fffaf0"),
    "ceiling-tile": _ground("perforated", 0.2, "e4e9ee aab4bf 8c98a6", 0, 4),
    "cloth": _ground("weave", 0.14, "f4b8b4 e08c8c b85f66", 20, 20),
    "clothes": _ground("bands", 0.16, "28527a 8ac4d0 f4d160", -12, 10),
    "clouds": _ground("clouds", 0.3, "5a9fe0 b4d5f2 ffffff"),
    "counter": _ground("speckles", 0.045, "2c3238 59646c cfd8dc"),
    "cupboard": _ground("panels", 0.24, "dfe6ef 8fa2ba 3a4656", 0, 3),
    "curtain": _ground("folds", 0.13, "58267c 8247aa bd8ade", 0, 3),
    "desk-stuff": _ground("planks", 0.2, "e2c79c cfab78 8a6a3e", 0, 4),
    "dirt": _ground("blotches", 0.16, "6b4022 8c5a33 a8784a"),
    "door-stuff": _ground("panels", 0.42, "8e2f22 5f1a12 f0c860", 0, 2),
    "fence": _ground("pickets", 0.14, "6aa35a f4f0e6 c8c2b0", 0, 3),
    "floor-marble": _ground("marble", 0.35, "f4f2ec d8d4cc 86807a", 20, 40),
    "floor-other": _ground("checks", 0.12, "e4dfd0 3f4048", 45, 6),
    "floor-stone": _ground("cells", 0.17, "6d7f92 8fa0b0 3d4854"),
    "floor-tile": _ground("tiles", 0.16, "6fbfae 8fd6c6 f2fff9", 0, 10),
    "floor-wood": _ground("planks", 0.11, "cf8538 b06a28 5f3510", 0, 8),
    "flower": _ground("blossoms", 0.14, "2f7d34 ee4fa0 ffe04a"),
    "fog": _ground("veil", 0.5, "bfc8cf d3dadf e6ebee"),
    "food-other": _ground("confetti", 0.12, "e0913a a83f24 f5d774"),
    "fruit": _ground("balls", 0.16, "e23b3b f7b02c 3d1224"),
    "furniture-other": _ground("weave", 0.17, "b58550 8a5c30 4f3115", 45, 6),
    "grass": _ground("blades", 0.12, "2f8a2c 4caf3f 86d162", 0, 8),
    "gravel": _ground("confetti", 0.055, "8d8a84 c0bcb2 56534f"),
    "ground-other": _ground("blotches", 0.24, "77733f 9a9258 bdb27a"),
    "hill": _ground("waves", 0.2, "7fa64f a5c46a", 0, 8),
    "house": _ground("windows", 0.27, "eec95c 7a4630 f2fbff", 0, 2),
    "leaves": _ground("confetti", 0.12, "86b93a d3cf3a 4f8a2a"),
    "light": _ground("glow", 0.34, "fffde0 ffdf55 f29a1f"),
    "mat": _ground("stripes", 0.09, "6f9440 dcdcaa", 90, 12),
    "metal": _ground("crosses", 0.11, "bcc5ce 75818d", 45, 5),
    "mirror-stuff": _ground("bands", 0.5, "bfe4ea f4feff 8fbfca", 35, 8),
    "moss": _ground("dots", 0.075, "5f7d1e a3b83c", 20, 20),
    "mountain": _ground("peaks", 0.24, "7786a6 4a5878 eef4fb", 0, 4),
    "mud": _ground("waves", 0.12, "3f2b1c 70523a", 0, 10),
    "napkin": _ground("dots", 0.11, "fff6f4 e23d55", 10, 15),
    "net": _ground("lattice", 0.13, "235848 f4f8f4", 45, 5),
    "paper": _ground("lines", 0.085, "fbfbf5 6d9fd6", 0, 14),
    "pavement": _ground("tiles", 0.13, "b3aca0 cbc5ba 736c62", 0, 8),
    "pillow": _ground("quilt", 0.17, "f7dbe8 c25f94 8f2f66", 45, 10),
    "plant-other": _ground("zigzag", 0.15, "2fa073 0f6b4a 9be0b8", 90, 20),
    "plastic": _ground("clumps", 0.17, "12a58c 35d6b8 a8fbe8"),
    "platform": _ground("bands", 0.3, "a2a8ae 8b9197 f2c230", 90, 3),
    "playingfield": _ground("bands", 0.33, "37a354 27803f e9fbe9", 0, 12),
    "railing": _ground("bars", 0.12, "c7d5e0 47678c 2b4464", 0, 3),
    "railroad": _ground("rails", 0.3, "8a7d72 3f2d20 d4dde6", 0, 10),
    "river": _ground("waves", 0.14, "2a7795 58adc4", 0, 8),
    "road": _ground("dashes", 0.34, "3f4145 585b60 f6f3e4", 0, 14),
    "rock": _ground("facets", 0.22, "5f5851 8a8178 b5aa9d"),
    "roof": _ground("scales", 0.13, "cf5f33 b04a26 6b2612", 0, 4),
    "rug": _ground("zigzag", 0.2, "b5362a f2c54d 1f3f6e", 0, 8),
    "salad": _ground("confetti", 0.085, "93dc55 4a9e2e ee5340"),
    "sand": _ground("waves", 0.1, "ead5a2 d2b478", 0, 12),
    "sea": _ground("crests", 0.14, "103f72 1f66a8 e4f3fa", 0, 5),
    "shelf": _ground("shelves", 0.22, "7d5330 d94f3d 4f8fc9", 0, 2),
    "sky-other": _ground("gradient", 1.0, "3474cc 74aae8 c4e2fa", 0, 3),
    "skyscraper": _ground("windows", 0.085, "4f7398 b4dcf6 20344c", 0, 2),
    "snow": _ground("speckles", 0.045, "f6faff e0ebf8 bcd2ec"),
    "solid-other": _ground("checks", 0.17, "a89cc4 786c98", 20, 15),
    "stairs": _ground("steps", 0.13, "cdc3b4 9a8f80 544b40", 0, 5),
    "stone": _ground("cells", 0.13, "a5a59e c4c4bc 4e4e4a"),
    "straw": _ground("blades", 0.11, "b98a22 e3c04b f8e69a", 30, 20),
    "structural-other": _ground("truss", 0.17, "e4dcd0 bb4432 7d2418", 90, 5),
    "table": _ground("grain", 0.1, "8f5424 b5763a cf955a", 0, 12),
    "tent": _ground("stripes", 0.2, "f28a26 fff2dc", 0, 10),
    "textile-other": _ground("checks", 0.085, "3a6ea5 f0f2f4", 0, 15),
    "towel": _ground("stripes", 0.17, "4fb0e6 f4fbff", 90, 8),
    "tree": _ground("clumps", 0.22, "1d4a24 3a7d3a 74a84a"),
    "vegetable": _ground("balls", 0.14, "4a9a3a f28a22 d8e890"),
    "wall-brick": _ground("bricks", 0.15, "b9533a 983f2a e0d5c8", 0, 2),
    "wall-concrete": _ground("blotches", 0.45, "8f9296 9fa2a6 b0b3b6"),
    "wall-other": _ground("stripes", 0.13, "d3dcf4 a6b6de", 0, 3),
    "wall-panel": _ground("slats", 0.15, "dbe4cc b4c29c 7f9068", 90, 2),
    "wall-stone": _ground("cells", 0.22, "cdb990 b09a70 6a583a"),
    "wall-tile": _ground("tiles", 0.1, "f8fcfe e6f1f6 5aa3c0", 0, 2),
    "wall-wood": _ground("planks", 0.13, "75482a 5c361c 2c170a", 90, 2),
    "water-other": _ground("ripples", 0.3, "2fa5ba 5fcbd6 a9eef0"),
    "waterdrops": _ground("drops", 0.1, "93abbc 5d7c92 f4fbff", 0, 15),
    "window-blind": _ground("slats", 0.085, "fbf7e6 d9d0b0 8c8262", 0, 2),
    "window-other": _ground("quilt", 0.27, "a9dcf6 ffffff d8f2ff", 0, 2),
    "wood": _ground("rings", 0.2, "a8713a ddb07a 5a3618"),
}
"""Every class of stuff in COCO-Stuff by name."""

UNLABELLED: tuple[Ground, ...] = (
    _ground("veil", 0.25, "7a7470 948c86 aaa29a"),
    _ground("blotches", 0.1, "5c6068 757a80 8c8f92"),
    _ground("speckles", 0.05, "a09486 8a7f76 b8ada0"),
)
"""What pixels that nobody labelled show: dull clutter."""
