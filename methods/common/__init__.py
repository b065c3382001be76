"""What methods share: the semantic front end, diffusion, adversarial training."""
