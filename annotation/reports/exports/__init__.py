"""The export of votes."""
