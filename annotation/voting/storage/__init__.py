"""What serves only speed: prepared statements, the queue before SQLite, work in slices."""
