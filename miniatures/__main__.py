"""`python -m miniatures`: train every miniature from nothing, or continue the last run."""

import argparse
import os
import sys
from pathlib import Path

import torch

from miniatures.parallel_stages import StageFailedError, run_stages
from miniatures.stages import NEEDS, Stages


def main() -> None:
    """Read the arguments; run one stage, or all of them as parallel processes."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(prog="python -m miniatures", description=__doc__)
    parser.add_argument("--work", type=Path, default=here.parent / "var" / "miniatures", help="corpora and checkpoints")
    parser.add_argument("--to", type=Path, default=here / "weights", help="where the finished models go")
    parser.add_argument("--only", choices=tuple(NEEDS), help="make this stage only, in this process")
    arguments = parser.parse_args()
    if arguments.only:
        Stages(arguments.work, arguments.to).make(arguments.only)
        return
    # A GPU is fastest with one stage at a time, a CPU with two, each on half of the cores.
    process_count = 1 if torch.cuda.is_available() or (os.cpu_count() or 1) == 1 else 2
    folders = ["--work", str(arguments.work), "--to", str(arguments.to)]
    try:
        command = [sys.executable, "-m", "miniatures", *folders, "--only"]
        run_stages(NEEDS, lambda stage: [*command, stage], process_count=process_count)
    except StageFailedError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped. The same command goes on from the last checkpoint.")
    print(f"Trained models: {arguments.to}")


if __name__ == "__main__":
    main()
