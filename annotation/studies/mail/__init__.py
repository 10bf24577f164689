"""Mails to the people of a study and to annotators. The tick sends them, a few at a time."""
