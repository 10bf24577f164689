"""The people of a study as its researcher sees them: what they do, how carefully, and what they are owed."""
