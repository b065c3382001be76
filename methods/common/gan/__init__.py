"""Adversarial training: the step, losses, patch discriminator and perceptual features that the GAN methods share."""
