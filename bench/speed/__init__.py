"""`bench speed`: how fast sampling, training and the whole way of a scene are, and what fewer steps cost in quality."""
