"""The people of a study: annotators and invitations."""
