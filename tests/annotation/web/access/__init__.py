"""Tests of who may open what, and how often."""
