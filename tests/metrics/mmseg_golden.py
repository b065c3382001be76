"""Make `tests/metrics/data/mmseg_iou.npz`: maps, and what mmsegmentation's IoUMetric says of them.

    python -m venv mmseg
    mmseg/bin/pip install numpy torch "mmcv-lite==2.1.0" mmengine "mmsegmentation==1.2.2" ftfy regex
    mmseg/bin/python tests/metrics/mmseg_golden.py

mmcv-lite is enough: the metric needs none of mmcv's compiled operators.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "data" / "mmseg_iou.npz"
CLASSES = 19
IGNORE = 255
ABSENT = 16  # a class that is in neither map: its IoU is not defined


def maps() -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true train ids, (3, 24, 40) uint8 each: patches, a fifth of the pixels named wrongly, some true
    pixels ignored, and some predictions (255) that are none of the classes."""
    rng = np.random.default_rng(11)
    truth = rng.integers(0, CLASSES, (3, 6, 10)).repeat(4, axis=1).repeat(4, axis=2)
    truth[truth == ABSENT] = 0
    wrong = rng.integers(0, CLASSES - 3, truth.shape)
    predicted = np.where(rng.random(truth.shape) < 0.2, wrong, truth)
    predicted[rng.random(truth.shape) < 0.03] = IGNORE
    truth[rng.random(truth.shape) < 0.1] = IGNORE
    return predicted.astype(np.uint8), truth.astype(np.uint8)


def mmseg_says(predicted: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """IoU of every class over all maps (C,), and mIoU and pixel accuracy in per cent as mmseg prints them."""
    import torch
    from mmseg.evaluation import IoUMetric

    metric = IoUMetric(ignore_index=IGNORE, iou_metrics=["mIoU"])
    metric.dataset_meta = {"classes": [str(number) for number in range(CLASSES)]}
    samples = [
        {name: {"data": torch.from_numpy(labels)[None].int()} for name, labels in pair.items()}
        for pair in ({"pred_sem_seg": p, "gt_sem_seg": t} for p, t in zip(predicted, truth, strict=True))
    ]
    metric.process({}, samples)
    areas = [sum(parts) for parts in zip(*metric.results, strict=True)]
    printed = metric.compute_metrics(metric.results)
    return {
        "iou": metric.total_area_to_metrics(*areas)["IoU"].astype(np.float64),
        "miou_percent": np.float64(printed["mIoU"]),
        "accuracy_percent": np.float64(printed["aAcc"]),
    }


def main() -> None:
    predicted, truth = maps()
    np.savez_compressed(FILE, predicted=predicted, truth=truth, **mmseg_says(predicted, truth))
    print(f"wrote {FILE}")


if __name__ == "__main__":
    main()
