"""Sections about the agreement of the metric with people."""
