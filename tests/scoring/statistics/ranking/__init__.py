"""Tests of rankings of models."""
