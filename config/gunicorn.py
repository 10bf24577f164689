"""The configuration of gunicorn: `gunicorn --config python:config.gunicorn config.wsgi`."""

import gc
import os
import sys

from django.core.exceptions import ImproperlyConfigured

from config.environment import Environment
from config.server.limits import limits_from_environment

_env = Environment()
worker_class = "config.server.worker.BufferingWorker"  # threads that no slow connection holds up
workers = _env.int("WEB_CONCURRENCY", default=2)
threads = _env.int("WEB_THREADS", default=8)
worker_connections = 800  # open connections of a process; many systems allow it 1024 open files
sendfile = False  # a file is sent by the event loop, like everything else
timeout = 60
graceful_timeout = 20  # below stop_grace_period in docker-compose.yml
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108 - heartbeats, not on a slow disk
control_socket_disable = True  # no process controls the server from outside
logger_class = "config.gunicorn_logs.RedactingLogger"


def on_starting(_server: object) -> None:
    """Exit with one sentence if the settings are invalid, before the server starts."""
    try:
        import config.settings  # noqa: F401

        limits_from_environment()
    except ImproperlyConfigured as error:
        sys.exit(str(error))


def post_worker_init(_worker: object) -> None:
    """Exclude the loaded modules from garbage collection: they stay until the process ends."""
    import scipy.stats  # noqa: F401 - which loads when it is first used: no visitor waits for it

    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
