"""What serves only speed: the statements of a vote, the queue before SQLite's writer, work in slices, bulk rows."""
