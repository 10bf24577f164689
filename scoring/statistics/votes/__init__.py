"""Votes: counted, one by one, and whether they were given with attention."""
