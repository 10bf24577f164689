"""Tests of the admins' pages."""
