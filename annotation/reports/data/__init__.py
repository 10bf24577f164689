"""Database -> plain arrays."""
