"""Measure making images: sampling alone, as a worker does it, and as a plain loop does; and how idle a card is.

    python -m benchmarks.generation [--rounds 3] [--jobs 8] [--launch-ms MS] [--slower 1] [--seconds 480]

On a CPU, with the miniatures: each arm makes the twenty images of a prompt in turn, round by round. CPU time is printed
beside the clock's, because other programs may share the cores. The bound is sampling alone: a worker cannot be faster.
A stand-in for a card (`stand_in`) shows how long a fast card would wait for the host.

On a card, with architectures of full size and random weights (`full_size`). No card has run it yet.
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.generation.arms import miniature, print_arms
from benchmarks.generation.full_size import FULL_SIZE, print_full_size
from benchmarks.generation.stages import print_stages
from benchmarks.generation.stand_in import launch_seconds, print_idle_share


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds of twenty images for each arm (default 3, 0: none)"
    )
    parser.add_argument("--jobs", type=int, default=8, help="jobs of twenty images on the stand-in (default 8)")
    parser.add_argument("--launch-ms", type=float, help="of one step; measured on this machine if it is not given")
    parser.add_argument(
        "--slower", type=float, default=1, help="how much slower than an H100 the stand-in is (default 1); see stand_in"
    )
    parser.add_argument("--seconds", type=float, default=480, help="the most that a card is measured for (default 480)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-generation-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "SEMBLANCE_VAR": folder}
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other would count as CPU time
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        from generation.machines.devices import device, device_name

        print(f"{device_name()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
        print_stages()
        if device() != "cpu":
            print_full_size(Path(folder), FULL_SIZE, seconds=arguments.seconds)
            return
        bench = miniature(Path(folder))
        if arguments.rounds:
            print_arms(bench, arguments.rounds)
        if arguments.jobs:
            launch = arguments.launch_ms / 1000 if arguments.launch_ms else launch_seconds()
            print_idle_share(bench, arguments.jobs, launch, arguments.slower)


if __name__ == "__main__":
    main()
