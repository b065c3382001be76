"""`bench speed`: how fast sampling and training are against the published way, and what fewer steps cost in quality."""
