"""Votes of annotators who do not exist."""
