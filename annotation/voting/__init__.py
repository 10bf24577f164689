"""Which comparison next, and what becomes of a vote."""
