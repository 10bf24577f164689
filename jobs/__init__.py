"""Leased jobs, refusals, and atomic file writing. Generation, scoring and annotation build on this package."""
