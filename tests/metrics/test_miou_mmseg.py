"""mIoU equals mmsegmentation's IoUMetric on the same maps: by arrays that it made, and itself where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.evaluators.labels import IGNORED
from metrics.miou import class_counts, iou_from_counts, mean_iou
from tests.metrics.mmseg_golden import ABSENT, CLASSES, FILE, maps, mmseg_says


def check(predicted, truth, expected):
    counts = class_counts(predicted, truth, CLASSES, IGNORED).sum(axis=0)
    np.testing.assert_allclose(iou_from_counts(counts), expected["iou"], rtol=1e-6)
    assert np.isnan(expected["iou"][ABSENT])
    # mmseg prints per cent with two decimals, in single precision
    assert round(100 * float(mean_iou(counts)), 2) == pytest.approx(float(expected["miou_percent"]), abs=1e-5)
    hits, labelled, _ = counts
    assert round(100 * hits.sum() / labelled.sum(), 2) == pytest.approx(float(expected["accuracy_percent"]), abs=1e-5)


def test_counts_equal_what_mmseg_said_of_the_same_maps():
    with np.load(FILE, allow_pickle=False) as golden:
        expected = {name: golden[name] for name in golden.files}
    predicted, truth = expected["predicted"], expected["truth"]
    assert (truth == IGNORED).any(), "ignored pixels are part of the protocol"
    assert (predicted[truth != IGNORED] == IGNORED).any(), "so are predictions that are no class"
    check(predicted, truth, expected)


def test_counts_equal_mmseg_itself():
    pytest.importorskip("mmseg", exc_type=ImportError)
    predicted, truth = maps()
    check(predicted, truth, mmseg_says(predicted, truth))
