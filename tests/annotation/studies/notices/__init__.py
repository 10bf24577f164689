"""Notices and their mails."""
