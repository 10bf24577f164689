"""Every formula of the report: plain functions over arrays, without Django."""
