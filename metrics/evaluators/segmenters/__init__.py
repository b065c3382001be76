"""Segmenters: networks that name the class of every pixel, which the metric `mIoU` asks."""
