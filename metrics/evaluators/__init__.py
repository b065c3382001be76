"""The networks that metrics ask, one file a network: segmenters, detectors and depth networks."""
