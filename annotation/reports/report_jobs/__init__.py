"""Compute, store and serve reports and their downloads, in jobs."""
