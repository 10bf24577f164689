"""Warnings about a study: what is allowed and probably not meant."""
