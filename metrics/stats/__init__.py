"""Statistics of scores: distances between sets, and telling a difference from chance."""
