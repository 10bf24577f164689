"""Every formula about the people who cast the votes."""
