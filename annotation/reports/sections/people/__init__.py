"""Sections about the people: how well they agree with each other, and what one more of them would do."""
