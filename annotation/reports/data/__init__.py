"""The database read into plain arrays."""
