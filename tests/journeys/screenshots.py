"""Take a picture of every page, light and dark, on a laptop and on a phone: `make screenshots`."""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = "SEMBLANCE_SCREENSHOTS"


def main() -> int:
    """Run the tour under pytest, which sets up the database and the server."""
    if len(sys.argv) != 2:
        sys.stderr.write("Usage: python -m tests.journeys.screenshots DIR\n")
        return 2
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    tour = Path(__file__).with_name("test_tour.py")
    environment = {**os.environ, FOLDER: str(folder)}
    return subprocess.run([sys.executable, "-m", "pytest", str(tour), "-q"], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
