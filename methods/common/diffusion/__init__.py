"""Semantic diffusion: the U-Net that SDM and GESCO share, its noise schedule, its loss and its samplers."""
