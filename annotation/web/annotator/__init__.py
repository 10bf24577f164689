"""The pages of an annotator."""
