"""`python -m tests.services COMMAND...`: run a command with a real PostgreSQL and a real Redis, private to it."""

import os
import signal
import subprocess
import sys

from tests.services.servers import ServicesMissingError, services


def main(command: list[str]) -> int:
    """Run the command with TEST_DATABASE_URL and TEST_BROKER_URL set; its exit status."""
    try:
        with services() as environment:
            print("Service tests on", *environment.values(), flush=True)
            return subprocess.run(
                command, env={**os.environ, **environment, "SEMBLANCE_TESTS_ON_SERVICES": "1"}
            ).returncode
    except ServicesMissingError as missing:
        print(missing, file=sys.stderr)
        return 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end with us
    sys.exit(main(sys.argv[1:]))
