"""Settings, addresses and the entry points of the processes."""

# Imported here so that `shared_task` finds the application in every process.
from config.celery import app as celery_app

__all__ = ["celery_app"]
