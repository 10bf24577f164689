"""Celery tasks of annotation: thin, all on the control queue."""
