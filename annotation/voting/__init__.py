"""Voting: assign comparisons to annotators, and store and count their votes."""
