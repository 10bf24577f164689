"""`python -m miniatures`: train every miniature from nothing, or go on where the last run stopped."""

import argparse
import os
import sys
from pathlib import Path

import torch

from miniatures.lanes import StageFailedError, run_stages
from miniatures.workshop import NEEDS, Workshop


def main() -> None:
    """Read the arguments; make one stage, or all of them as processes beside each other."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(prog="python -m miniatures", description=__doc__)
    parser.add_argument("--work", type=Path, default=here.parent / "var" / "miniatures", help="corpora and checkpoints")
    parser.add_argument("--to", type=Path, default=here / "weights", help="where the finished models go")
    parser.add_argument("--only", choices=tuple(NEEDS), help="make this stage only, in this process")
    arguments = parser.parse_args()
    if arguments.only:
        Workshop(arguments.work, arguments.to).make(arguments.only)
        return
    # A GPU is quickest with one stage at a time; a processor with two, each on half of its cores.
    lanes = 1 if torch.cuda.is_available() or (os.cpu_count() or 1) == 1 else 2
    folders = ["--work", str(arguments.work), "--to", str(arguments.to)]
    try:
        run_stages(NEEDS, lambda stage: [sys.executable, "-m", "miniatures", "--only", stage, *folders], lanes=lanes)
    except StageFailedError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped. The same command goes on from the last checkpoint.")
    print(f"Trained models: {arguments.to}")


if __name__ == "__main__":
    main()
