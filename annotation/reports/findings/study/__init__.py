"""Findings about the study: its facts, the quality of its votes, its end, and the next study."""
