"""Attention checks, practice, and the pairs of known order that both are made of."""
