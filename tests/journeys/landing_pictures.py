"""Make the start page's pictures from those of `make screenshots`: python -m tests.journeys.landing_pictures DIR."""

import sys
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).resolve().parents[2] / "static" / "landing"
QUALITY = 80
SIZE = (1440, 900)


def main() -> int:
    """Write the comparison page, light and dark, as WebP."""
    if len(sys.argv) != 2:
        sys.stderr.write("Usage: python -m tests.journeys.landing_pictures DIR, the folder of `make screenshots`\n")
        return 2
    for scheme in ("light", "dark"):
        source = Path(sys.argv[1]) / f"comparison-1440-{scheme}.png"
        if not source.is_file():
            sys.stderr.write(f"{source} is missing: run `make screenshots SHOTS={sys.argv[1]}` first.\n")
            return 1
        with Image.open(source) as picture:
            picture.convert("RGB").crop((0, 0, *SIZE)).save(
                TARGET / f"comparison-{scheme}.webp", quality=QUALITY, method=6
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
