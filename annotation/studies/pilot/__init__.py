"""Pilots: studies of their own on a part of the prompts of another study, which that study then does without."""
