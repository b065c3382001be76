"""Pictures of a run: originals, received maps and what methods made of them."""
