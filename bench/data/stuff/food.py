"""Pictograms of food and of what is on a table."""

from __future__ import annotations

from .sketch import Sketch, design

_DARK = "1a1b20"


def _bottle(s: Sketch, paint: str) -> None:
    s.box("d9a441", 0.36, 0.0, 0.64, 0.1)
    s.box(paint, 0.36, 0.08, 0.64, 0.34)
    s.poly(paint, 0.36, 0.3, 0.64, 0.3, 0.95, 0.46, 0.95, 1.0, 0.05, 1.0, 0.05, 0.46)
    s.box("fdf6e0", 0.05, 0.56, 0.95, 0.82)
    s.box("c62f2f", 0.05, 0.66, 0.95, 0.73)


def _wine_glass(s: Sketch, paint: str) -> None:
    s.box("e4f2fa", 0.44, 0.5, 0.56, 0.92)
    s.box("e4f2fa", 0.14, 0.9, 0.86, 1.0)
    s.poly("e4f2fa", 0.06, 0.0, 0.94, 0.0, 0.98, 0.28, 0.72, 0.56, 0.28, 0.56, 0.02, 0.28)
    s.poly(paint, 0.08, 0.2, 0.92, 0.2, 0.9, 0.3, 0.68, 0.5, 0.32, 0.5, 0.1, 0.3)


def _cup(s: Sketch, paint: str) -> None:
    s.disc(paint, 0.78, 0.5, 0.25)
    s.disc("6e4a36", 0.78, 0.5, 0.12)
    s.poly(paint, 0.04, 0.12, 0.76, 0.12, 0.7, 0.96, 0.1, 0.96)
    s.oval("5a3018", 0.4, 0.14, 0.38, 0.12)
    s.box("ffffff", 0.08, 0.5, 0.74, 0.64)


def _fork(s: Sketch, paint: str) -> None:
    for x in (0.14, 0.5, 0.86):
        s.box(paint, x - 0.11, 0.0, x + 0.11, 0.32)
    s.box(paint, 0.03, 0.28, 0.97, 0.44)
    s.box(paint, 0.34, 0.4, 0.66, 0.72)
    s.box("7a3f1f", 0.26, 0.68, 0.74, 1.0)


def _knife(s: Sketch, paint: str) -> None:
    s.poly(paint, 0.2, 0.0, 0.5, 0.04, 0.92, 0.3, 0.92, 0.62, 0.2, 0.62)
    s.box("16171b", 0.16, 0.6, 0.84, 1.0)
    for y in (0.7, 0.86):
        s.disc("e8e8e8", 0.5, y, 0.035)


def _spoon(s: Sketch, paint: str) -> None:
    s.box(paint, 0.36, 0.34, 0.64, 1.0)
    s.oval(paint, 0.5, 0.22, 0.18, 0.22)
    s.oval("8e7a3a", 0.5, 0.22, 0.11, 0.15)


def _bowl(s: Sketch, paint: str) -> None:
    s.box(paint, 0.32, 0.85, 0.68, 1.0)
    s.pie(paint, 0.5, 0.26, 0.7, 0, 180)
    s.oval("fff8e8", 0.5, 0.26, 0.8, 0.22)
    s.oval("e8a02f", 0.5, 0.27, 0.62, 0.14)


def _banana(s: Sketch, paint: str) -> None:
    s.poly(paint, 0.06, 0.1, 0.16, 0.06, 0.24, 0.36, 0.44, 0.56, 0.68, 0.56, 0.9, 0.36,
           1.0, 0.42, 0.9, 0.74, 0.66, 0.96, 0.38, 0.94, 0.14, 0.66)  # fmt: skip
    s.poly("5a4314", 0.04, 0.0, 0.14, 0.0, 0.17, 0.14, 0.07, 0.16)
    s.poly("c99a1a", 0.18, 0.5, 0.38, 0.76, 0.64, 0.78, 0.86, 0.58, 0.66, 0.86, 0.38, 0.86)


def _apple(s: Sketch, paint: str) -> None:
    s.bar("5a3a1a", 0.07, 0.5, 0.24, 0.56, 0.03)
    s.oval("3f9a3a", 0.72, 0.1, 0.16, 0.08, -20)
    for x in (0.34, 0.66):
        s.oval(paint, x, 0.6, 0.3, 0.38)
    s.oval("ffffff", 0.28, 0.46, 0.07, 0.1)


def _sandwich(s: Sketch, paint: str) -> None:
    s.poly("e2b36a", 0.0, 0.96, 0.5, 0.0, 1.0, 0.96)
    s.poly("fbe8bd", 0.1, 0.9, 0.5, 0.14, 0.9, 0.9)
    s.poly(paint, 0.17, 0.78, 0.24, 0.64, 0.76, 0.64, 0.83, 0.78)
    s.poly("e0442f", 0.28, 0.58, 0.34, 0.46, 0.66, 0.46, 0.72, 0.58)


def _orange(s: Sketch, paint: str) -> None:
    s.disc(paint, 0.5, 0.54, 0.46)
    s.disc("ffd08a", 0.5, 0.54, 0.37)
    for n in range(6):
        s.pie(paint, 0.5, 0.54, 0.34, n * 60 + 6, n * 60 + 54)


def _broccoli(s: Sketch, paint: str) -> None:
    s.poly("a8d070", 0.36, 0.5, 0.64, 0.5, 0.7, 1.0, 0.3, 1.0)
    for x, y, r in ((0.22, 0.42, 0.2), (0.78, 0.42, 0.2), (0.38, 0.22, 0.2), (0.64, 0.22, 0.2), (0.5, 0.44, 0.22)):
        s.disc(paint, x, y, r)
    for x, y in ((0.24, 0.38), (0.46, 0.2), (0.7, 0.28), (0.54, 0.44)):
        s.disc("4fa83f", x, y, 0.075)


def _carrot(s: Sketch, paint: str) -> None:
    for y in (0.12, 0.5, 0.88):
        s.bar("3f9a3a", 0.17, 0.28, 0.5, 0.06, y)
    s.poly(paint, 0.26, 0.16, 0.44, 0.14, 1.0, 0.52, 0.44, 0.86, 0.26, 0.84)
    for x in (0.42, 0.58, 0.72):
        s.box("b8521a", x, 0.26, x + 0.025, 0.5)


def _hot_dog(s: Sketch, paint: str) -> None:
    s.box("d99a4e", 0.06, 0.2, 0.94, 0.98, 0.3)
    s.box(paint, 0.0, 0.24, 1.0, 0.66, 0.2)
    s.bar("ffd633", 0.12, 0.12, 0.38, 0.25, 0.52, 0.38, 0.36, 0.52, 0.52, 0.66, 0.36, 0.8, 0.52, 0.88, 0.4)


def _pizza(s: Sketch, paint: str) -> None:
    s.disc("c98a3e", 0.5, 0.5, 0.49)
    s.disc(paint, 0.5, 0.5, 0.39)
    for x, y in ((0.36, 0.32), (0.64, 0.36), (0.3, 0.6), (0.54, 0.62), (0.7, 0.66), (0.48, 0.2)):
        s.disc("c2301f", x, y, 0.085)
    s.bar("8a5a22", 0.03, 0.5, 0.03, 0.5, 0.97)
    s.bar("8a5a22", 0.03, 0.03, 0.5, 0.97, 0.5)


def _donut(s: Sketch, paint: str) -> None:
    s.disc("c08040", 0.5, 0.5, 0.49)
    s.disc(paint, 0.5, 0.48, 0.42)
    s.disc("6a3f1c", 0.5, 0.5, 0.16)
    for n, (x, y) in enumerate(((0.3, 0.24), (0.7, 0.28), (0.2, 0.52), (0.8, 0.56), (0.38, 0.78), (0.64, 0.76))):
        s.box(("ffffff", "3fb6f2", "ffe14a")[n % 3], x - 0.045, y - 0.045, x + 0.045, y + 0.045)


def _cake(s: Sketch, paint: str) -> None:
    s.box("e8eef2", 0.0, 0.9, 1.0, 1.0)
    s.box("fff1e0", 0.1, 0.38, 0.9, 0.92)
    s.box(paint, 0.1, 0.6, 0.9, 0.72)
    s.box(paint, 0.1, 0.34, 0.9, 0.46)
    for x in (0.26, 0.5, 0.74):
        s.box("4fa8e0", x - 0.035, 0.12, x + 0.035, 0.36)
        s.oval("ffb01f", x, 0.07, 0.045, 0.075)


def _scissors(s: Sketch, paint: str) -> None:
    s.bar("c6ccd2", 0.12, 0.3, 0.66, 0.76, 0.04)
    s.bar("dfe4e8", 0.12, 0.7, 0.66, 0.24, 0.04)
    for x in (0.25, 0.75):
        s.disc(paint, x, 0.78, 0.21)
        s.disc("f2ede4", x, 0.78, 0.095)


def _toothbrush(s: Sketch, paint: str) -> None:
    s.box("f8fcff", 0.0, 0.04, 0.28, 0.58)
    s.box("8fd4f2", 0.07, 0.04, 0.2, 0.58)
    s.box(paint, 0.0, 0.52, 1.0, 0.94, 0.12)
    s.box("ffffff", 0.6, 0.64, 0.92, 0.82)


def _vase(s: Sketch, paint: str) -> None:
    for x, y, petal in ((0.3, 0.16, "f25c8a"), (0.7, 0.16, "f2c53d"), (0.5, 0.07, "b05ce0")):
        s.bar("3f8f3a", 0.04, 0.5, 0.45, x, y)
        s.disc(petal, x, y, 0.09)
    s.poly(paint, 0.28, 0.38, 0.72, 0.38, 0.64, 0.48, 0.94, 0.7, 0.76, 1.0, 0.24, 1.0, 0.06, 0.7, 0.36, 0.48)
    s.poly("f6f0e0", 0.1, 0.66, 0.9, 0.66, 0.94, 0.75, 0.06, 0.75)


_T = "table"
DESIGNS = {
    "bottle": design(_bottle, 0.36, (0.34, 0.52), "1f6b3a 6a3a1a", "table room", turn=5),
    "wine glass": design(_wine_glass, 0.52, (0.32, 0.48), "a01f3f e8c85a", _T, turn=5, outline="55626e"),
    "cup": design(_cup, 1.1, (0.24, 0.38), "2f8fc8 e0523f", _T, turn=5),
    "fork": design(_fork, 0.34, (0.36, 0.52), "cfd6dc", _T, "flat", 50),
    "knife": design(_knife, 0.26, (0.36, 0.52), "dfe5ea", _T, "flat", 50),
    "spoon": design(_spoon, 0.36, (0.34, 0.5), "d9c06a", _T, "flat", 50),
    "bowl": design(_bowl, 1.6, (0.3, 0.46), "3f6fb0 b83f5a", _T, turn=4),
    "banana": design(_banana, 1.45, (0.28, 0.44), "f7d433", _T, "flat", 40, "6a4f10"),
    "apple": design(_apple, 0.92, (0.22, 0.36), "d0202f 8ec63f", _T, "flat", 15),
    "sandwich": design(_sandwich, 1.25, (0.28, 0.44), "6ab547", _T, "flat", 15, "6a4318"),
    "orange": design(_orange, 0.98, (0.22, 0.36), "f58a1f", _T, "flat", 180, "8a3f08"),
    "broccoli": design(_broccoli, 0.95, (0.26, 0.4), "2a6f2a", _T, "flat", 30, "123a14"),
    "carrot": design(_carrot, 1.8, (0.32, 0.48), "f0741f", _T, "flat", 50, "6a2f08"),
    "hot dog": design(_hot_dog, 1.75, (0.32, 0.48), "b8432a", _T, "flat", 30, "4a1f0c"),
    "pizza": design(_pizza, 1.0, (0.34, 0.54), "f6cf5a", _T, "flat", 180, "5a3410"),
    "donut": design(_donut, 1.0, (0.24, 0.38), "f286b8 5c2f18", _T, "flat", 180, "4a2810"),
    "cake": design(_cake, 1.15, (0.32, 0.48), "e8527a 7a3f22", _T, turn=3),
    "scissors": design(_scissors, 0.78, (0.3, 0.46), "e0302f 2f7fe0", "table room", "flat", 40),
    "toothbrush": design(_toothbrush, 2.6, (0.36, 0.52), "2fb8a8 e0559a", "table room", "flat", 50),
    "vase": design(_vase, 0.55, (0.34, 0.52), "2f5fa8 a84f2f", "table room", turn=3),
}
