"""The rules by which a study excludes votes, and their application."""
