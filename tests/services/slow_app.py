"""The application of config.celery with a task that takes long, for tests of the broker.

`celery -A tests.services.slow_app worker -Q control`; each run of the task adds a line to a file.
"""

import time
from pathlib import Path

from config.celery import app


@app.task(name="tests.services.slow_app.sleep_and_note")
def sleep_and_note(seconds: float, name: str, file: str) -> None:
    """Sleep, then add the name to the file."""
    time.sleep(seconds)
    with Path(file).open("a") as lines:
        lines.write(f"{name}\n")
