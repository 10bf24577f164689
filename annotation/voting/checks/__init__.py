"""Attention checks, and the pairs of known order that checks and practice are made of."""
