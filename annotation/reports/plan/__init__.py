"""A plan of a study in words, tables and a figure."""
