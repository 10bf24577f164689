"""A web server in its own process, which tests can kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

from django.conf import settings
from django.db import connection

PATIENCE_SECONDS = 600


class WebProcess:
    """gunicorn over the test's database and media."""

    def __init__(self, var: Path, *options: str, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "SEMBLANCE_VAR": str(var),
            "SECRET_KEY": settings.SECRET_KEY,
            "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "1",  # static files without collectstatic
            **environment,
        }
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{self.port}", *self.options]
        self.process = subprocess.Popen(
            command, env=self.environment, cwd=settings.BASE_DIR, start_new_session=True, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                urlopen(self.url).close()
                return
            except OSError:  # refused, or reset while it comes up
                time.sleep(0.1)
        raise TimeoutError("the web server did not come up")

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None
