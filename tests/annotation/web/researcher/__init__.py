"""Tests of the researcher's pages."""
