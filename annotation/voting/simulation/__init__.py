"""Votes of simulated annotators."""
