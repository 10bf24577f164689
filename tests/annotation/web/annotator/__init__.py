"""Tests of the annotator's pages."""
