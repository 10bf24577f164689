"""The paragraphs of the results: plain sentences with the numbers in them, one file for each chapter of the report."""

from annotation.reports.sections.chapters import against, agreement, metrics, ranking, reliability, scores

__all__ = ["against", "agreement", "metrics", "ranking", "reliability", "scores"]
