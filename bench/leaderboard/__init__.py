"""The leaderboard: a static site of results (`site`) with pictures (`samples`), and submissions (`store`, `export`)."""
