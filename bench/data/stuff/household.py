"""Pictograms of furniture, appliances and electronics."""

from __future__ import annotations

from .sketch import Sketch, design

_DARK = "1a1b20"


def _chair(s: Sketch, paint: str) -> None:
    for x in (0.14, 0.86):
        s.bar(paint, 0.09, x, 0.55, x, 0.97)
    s.box(paint, 0.08, 0.0, 0.24, 0.6)
    s.box(paint, 0.76, 0.0, 0.92, 0.6)
    for y in (0.04, 0.2, 0.36):
        s.box(paint, 0.1, y, 0.9, y + 0.08)
    s.box("e8d2a0", 0.02, 0.53, 0.98, 0.66)


def _couch(s: Sketch, paint: str) -> None:
    for x in (0.1, 0.9):
        s.box("4a2f1a", x - 0.04, 0.86, x + 0.04, 1.0)
    s.box(paint, 0.08, 0.04, 0.92, 0.7, 0.08)
    s.box("f4e6cf", 0.16, 0.46, 0.49, 0.68)
    s.box("f4e6cf", 0.51, 0.46, 0.84, 0.68)
    s.box(paint, 0.0, 0.3, 0.16, 0.9, 0.08)
    s.box(paint, 0.84, 0.3, 1.0, 0.9, 0.08)
    s.box(paint, 0.1, 0.66, 0.9, 0.9)


def _potted_plant(s: Sketch, paint: str) -> None:
    for x, y, turn in ((0.18, 0.34, 40), (0.82, 0.34, -40), (0.34, 0.16, 70), (0.66, 0.16, -70), (0.5, 0.3, 90)):
        s.oval("2f9a48", x, y, 0.24, 0.085, turn)
    s.bar("1f6b30", 0.05, 0.5, 0.3, 0.5, 0.62)
    s.poly(paint, 0.2, 0.6, 0.8, 0.6, 0.7, 1.0, 0.3, 1.0)
    s.box("f0a878", 0.14, 0.56, 0.86, 0.68)


def _bed(s: Sketch, paint: str) -> None:
    s.box("6a4020", 0.0, 0.05, 0.08, 1.0)
    s.box("6a4020", 0.93, 0.4, 1.0, 1.0)
    s.box("f4f2ee", 0.06, 0.5, 0.95, 0.82)
    s.box("ffffff", 0.09, 0.34, 0.32, 0.54, 0.06)
    s.poly(paint, 0.34, 0.42, 0.94, 0.42, 0.94, 0.86, 0.34, 0.86)
    s.box("6a4020", 0.06, 0.8, 0.95, 0.9)


def _dining_table(s: Sketch, paint: str) -> None:
    for x in (0.12, 0.88):
        s.poly(paint, x - 0.05, 0.3, x + 0.05, 0.3, x + 0.03, 1.0, x - 0.03, 1.0)
    s.box(paint, 0.08, 0.3, 0.92, 0.42)
    s.poly("e0b070", 0.1, 0.02, 0.9, 0.02, 1.0, 0.3, 0.0, 0.3)
    s.poly("ffffff", 0.38, 0.02, 0.62, 0.02, 0.66, 0.3, 0.34, 0.3)


def _toilet(s: Sketch, paint: str) -> None:
    s.poly(paint, 0.3, 0.7, 0.66, 0.7, 0.7, 1.0, 0.26, 1.0)
    s.box(paint, 0.0, 0.02, 0.36, 0.6, 0.04)
    s.pie(paint, 0.55, 0.5, 0.33, 0, 180)
    s.box("9fc4dc", 0.3, 0.4, 1.0, 0.52, 0.04)
    s.box("8a98a4", 0.06, 0.1, 0.2, 0.18)


def _tv(s: Sketch, paint: str) -> None:
    s.box("2b2d33", 0.3, 0.9, 0.7, 1.0)
    s.box("2b2d33", 0.45, 0.78, 0.55, 0.94)
    s.box("101216", 0.0, 0.0, 1.0, 0.82, 0.03)
    s.box(paint, 0.05, 0.07, 0.95, 0.75)
    s.poly("ffffff", 0.4, 0.24, 0.66, 0.41, 0.4, 0.58)


def _laptop(s: Sketch, paint: str) -> None:
    s.box("3a3f48", 0.14, 0.0, 0.86, 0.64, 0.03)
    s.box(paint, 0.19, 0.06, 0.81, 0.58)
    s.poly("c2c8d0", 0.12, 0.66, 0.88, 0.66, 1.0, 0.98, 0.0, 0.98)
    s.poly("4a505a", 0.2, 0.71, 0.8, 0.71, 0.84, 0.84, 0.16, 0.84)


def _mouse(s: Sketch, paint: str) -> None:
    s.bar("3a3f48", 0.07, 0.5, 0.2, 0.56, 0.02)
    s.oval(paint, 0.5, 0.58, 0.3, 0.41)
    s.box("3a3f48", 0.46, 0.2, 0.54, 0.52)
    s.box("3a3f48", 0.1, 0.48, 0.9, 0.54)


def _remote(s: Sketch, paint: str) -> None:
    s.box(paint, 0.02, 0.0, 0.98, 1.0, 0.06)
    s.disc("f03a2f", 0.5, 0.12, 0.07)
    for row in range(4):
        for x in (0.28, 0.72):
            s.disc("e8ecf0", x, 0.32 + row * 0.16, 0.05)


def _keyboard(s: Sketch, paint: str) -> None:
    s.box(paint, 0.0, 0.04, 1.0, 0.96, 0.06)
    for row in range(3):
        for n in range(7):
            x = 0.05 + n * 0.13 + row * 0.005
            s.box("f4f6f8", x, 0.14 + row * 0.26, x + 0.095, 0.33 + row * 0.26)


def _cell_phone(s: Sketch, paint: str) -> None:
    s.box("0e0f13", 0.0, 0.0, 1.0, 1.0, 0.07)
    s.box(paint, 0.1, 0.1, 0.9, 0.86)
    for row in range(3):
        for n, colour in enumerate(("ffd54a", "ffffff", "ff6a5a")):
            s.box(colour, 0.18 + n * 0.24, 0.18 + row * 0.2, 0.34 + n * 0.24, 0.28 + row * 0.2)
    s.disc("c8ccd2", 0.5, 0.93, 0.035)


def _microwave(s: Sketch, paint: str) -> None:
    s.box(paint, 0.0, 0.0, 1.0, 1.0, 0.05)
    s.box("2a2018", 0.06, 0.13, 0.7, 0.87)
    s.box("e8a64a", 0.13, 0.25, 0.63, 0.75)
    s.box("1f3f2a", 0.76, 0.13, 0.95, 0.3)
    for row in range(3):
        s.box("5f6870", 0.77, 0.4 + row * 0.17, 0.94, 0.5 + row * 0.17)


def _oven(s: Sketch, paint: str) -> None:
    s.box(paint, 0.0, 0.0, 1.0, 1.0)
    s.box("24262b", 0.0, 0.0, 1.0, 0.24)
    for x in (0.15, 0.38, 0.62, 0.85):
        s.disc("f2f2f2", x, 0.12, 0.065)
    s.box("24262b", 0.12, 0.42, 0.88, 0.86)
    s.box("f0762a", 0.22, 0.56, 0.78, 0.78)
    s.box("8a9098", 0.1, 0.3, 0.9, 0.37)


def _toaster(s: Sketch, paint: str) -> None:
    for x in (0.32, 0.64):
        s.box("d99a4e", x - 0.13, 0.0, x + 0.13, 0.4, 0.06)
        s.box("f6dca0", x - 0.09, 0.06, x + 0.09, 0.36)
    s.box(paint, 0.02, 0.3, 0.92, 0.94, 0.12)
    s.box("2b2d33", 0.9, 0.42, 1.0, 0.54)
    s.box("2b2d33", 0.06, 0.92, 0.88, 1.0)
    s.disc("ffffff", 0.7, 0.72, 0.08)


def _sink(s: Sketch, paint: str) -> None:
    s.bar("8c97a2", 0.1, 0.5, 0.44, 0.5, 0.07, 0.64, 0.07, 0.66, 0.24)
    s.poly(paint, 0.0, 0.42, 1.0, 0.42, 0.88, 0.98, 0.12, 0.98)
    s.poly("7fc4e0", 0.12, 0.5, 0.88, 0.5, 0.8, 0.72, 0.2, 0.72)
    s.box("f8fafc", 0.0, 0.4, 1.0, 0.5)


def _refrigerator(s: Sketch, paint: str) -> None:
    s.box(paint, 0.0, 0.0, 1.0, 1.0, 0.03)
    s.box("4a545e", 0.0, 0.33, 1.0, 0.37)
    s.box("4a545e", 0.12, 0.1, 0.24, 0.28)
    s.box("4a545e", 0.12, 0.43, 0.24, 0.7)
    s.box("f2c53d", 0.56, 0.46, 0.8, 0.58)


def _book(s: Sketch, paint: str) -> None:
    s.poly(paint, 0.0, 0.12, 0.5, 0.2, 1.0, 0.12, 1.0, 0.92, 0.5, 1.0, 0.0, 0.92)
    s.poly("fffdf2", 0.06, 0.04, 0.5, 0.12, 0.5, 0.9, 0.06, 0.82)
    s.poly("f4eeda", 0.94, 0.04, 0.5, 0.12, 0.5, 0.9, 0.94, 0.82)
    for row in range(4):
        y = 0.2 + row * 0.15
        s.poly("6a6458", 0.13, y, 0.43, y + 0.05, 0.43, y + 0.09, 0.13, y + 0.04)
        s.poly("6a6458", 0.87, y, 0.57, y + 0.05, 0.57, y + 0.09, 0.87, y + 0.04)


def _clock(s: Sketch, paint: str) -> None:
    s.disc(paint, 0.5, 0.5, 0.49)
    s.disc("fffdf4", 0.5, 0.5, 0.37)
    for x, y in ((0.5, 0.19), (0.5, 0.81), (0.19, 0.5), (0.81, 0.5)):
        s.disc("2b2d33", x, y, 0.04)
    s.bar("15161a", 0.075, 0.5, 0.5, 0.5, 0.24)
    s.bar("d62839", 0.075, 0.5, 0.5, 0.7, 0.6)


def _teddy_bear(s: Sketch, paint: str) -> None:
    for x in (0.22, 0.78):
        s.oval(paint, x, 0.9, 0.15, 0.1)
        s.oval(paint, x - 0.1 + 0.2 * (x > 0.5), 0.58, 0.09, 0.15, 25 if x < 0.5 else -25)
        s.disc(paint, x, 0.1, 0.1)
    s.oval(paint, 0.5, 0.7, 0.26, 0.26)
    s.disc(paint, 0.5, 0.27, 0.25)
    s.oval("f4dcb0", 0.5, 0.72, 0.16, 0.17)
    s.oval("f4dcb0", 0.5, 0.35, 0.11, 0.09)
    s.disc(_DARK, 0.5, 0.31, 0.04)
    for x in (0.37, 0.63):
        s.disc(_DARK, x, 0.22, 0.035)
    s.poly("d62839", 0.5, 0.5, 0.28, 0.43, 0.28, 0.58)
    s.poly("d62839", 0.5, 0.5, 0.72, 0.43, 0.72, 0.58)


def _hair_drier(s: Sketch, paint: str) -> None:
    s.poly(paint, 0.38, 0.48, 0.62, 0.46, 0.7, 1.0, 0.48, 1.0)
    s.poly(paint, 0.0, 0.1, 0.5, 0.04, 0.5, 0.6, 0.0, 0.5)
    s.disc(paint, 0.66, 0.31, 0.3)
    s.box("2b2d33", 0.0, 0.08, 0.1, 0.52)
    s.disc("2b2d33", 0.7, 0.31, 0.16)
    s.box("ffffff", 0.5, 0.66, 0.6, 0.78)


DESIGNS = {
    "chair": design(_chair, 0.66, (0.36, 0.54), "8a4f24 c23f3a", "room"),
    "couch": design(_couch, 1.85, (0.46, 0.68), "3f6f8f 8a3f4f", "room"),
    "potted plant": design(_potted_plant, 0.82, (0.34, 0.52), "c8653a", "room street"),
    "bed": design(_bed, 1.8, (0.48, 0.7), "3f5fb0 b03f6a", "room"),
    "dining table": design(_dining_table, 1.7, (0.44, 0.66), "7a4520", "room"),
    "toilet": design(_toilet, 0.8, (0.34, 0.5), "f6f8fa", "room", outline="5a6874"),
    "tv": design(_tv, 1.4, (0.36, 0.54), "2f7fd8 20a89a", "room"),
    "laptop": design(_laptop, 1.3, (0.32, 0.5), "4fb0f0 6a4fd0", "room table"),
    "mouse": design(_mouse, 0.68, (0.24, 0.38), "eceff2 c8ccd2", "table", "flat", 25),
    "remote": design(_remote, 0.36, (0.34, 0.5), "23262c", "table room", "flat", 40),
    "keyboard": design(_keyboard, 2.3, (0.4, 0.6), "3a3f48", "table room", "flat", 15),
    "cell phone": design(_cell_phone, 0.52, (0.28, 0.42), "2f5fd8 8f3fb8", "table room", "flat", 30),
    "microwave": design(_microwave, 1.6, (0.36, 0.54), "d4d9de", "room table", turn=2),
    "oven": design(_oven, 0.92, (0.38, 0.56), "f0f2f4 b8bec6", "room", turn=2),
    "toaster": design(_toaster, 1.2, (0.28, 0.44), "c83f2f 3f8f9a", "table room", turn=3),
    "sink": design(_sink, 1.5, (0.34, 0.52), "d8e0e6", "room", turn=2),
    "refrigerator": design(_refrigerator, 0.52, (0.46, 0.66), "cfe0e8 e8e2d4", "room", turn=2),
    "book": design(_book, 1.25, (0.28, 0.44), "2f6f4f 9a2f3f", "room table", "flat", 25),
    "clock": design(_clock, 1.0, (0.24, 0.38), "d8a02a 3f6f8f", "room table", "up", 8),
    "teddy bear": design(_teddy_bear, 0.82, (0.32, 0.48), "c08a4a", "room", turn=8, outline="4a2c12"),
    "hair drier": design(_hair_drier, 1.1, (0.28, 0.42), "e0409a 6a5ae0", "room table", "flat", 25),
}
