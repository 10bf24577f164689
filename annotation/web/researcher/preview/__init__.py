"""The preview of what an annotator sees."""
