"""Code that exists only for speed: the statements of a vote, the queue for SQLite's writer, slices, bulk inserts."""
