"""The overview of a study: its live cards and their pages."""
