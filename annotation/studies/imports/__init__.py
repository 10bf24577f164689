"""Scores and images that were imported for a study, and how to take them back."""
