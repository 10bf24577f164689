"""Notices for the people of a study: which conditions hold, who is told of them, and the mails."""
