"""Take a picture of each state of every page, light and dark, on a laptop and on a phone: `make screenshots`."""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = "SEMBLANCE_SCREENSHOTS"


def main() -> int:
    """Run the tours under pytest, which sets up the database and the server."""
    if len(sys.argv) != 2:
        sys.stderr.write("Usage: python -m tests.journeys.screenshots DIR\n")
        return 2
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    tours = [str(Path(__file__).with_name(name)) for name in ("test_tour.py", "test_tour_states.py")]
    environment = {**os.environ, FOLDER: str(folder)}
    return subprocess.run([sys.executable, "-m", "pytest", *tours, "-q"], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
