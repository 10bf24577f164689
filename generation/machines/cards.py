"""The graphics cards of this host, as `nvidia-smi -L` lists them; else NVIDIA's driver; else torch, in another process.

It loads no torch and opens no card, so a supervisor may ask.
"""

import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings

from jobs.refusals import Refused

_GPU = re.compile(r"GPU (?P<index>\d+): (?P<name>.+) \(UUID: (?P<uuid>GPU-[\w-]+)\)")
_MIG = re.compile(r"\s+MIG (?P<profile>\S+)\s+Device\s+(?P<index>\d+): \(UUID: (?P<uuid>MIG-[\w/-]+)\)")
_OF_DRIVER = re.compile(r"^(Model|GPU UUID):[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
NO_CARD = "No devices were found"
DEVICE_FILES = ("/dev/nvidia0", "/dev/dxg")  # only a host with one of them may have a card
ASK_TORCH = """
import torch
for number in range(torch.cuda.device_count()):
    card = torch.cuda.get_device_properties(number)
    print(f"GPU {number}: {card.name} (UUID: GPU-{card.uuid})")
"""
DRIVER_FOLDER = Path("/proc/driver/nvidia/gpus")  # a folder for each card, named by its place on the bus
SECONDS_TO_ANSWER = 60  # a driver that wakes its cards takes some


@dataclass(frozen=True, slots=True)
class HostCard:
    """A card: its number on this host (`1`, or `1:0` for a part of one), its name, and its UUID, which CUDA knows."""

    number: str
    name: str
    uuid: str


@cache
def host_cards() -> tuple[HostCard, ...]:
    """Return the cards of this host. Raises Refused if NVIDIA's program fails in a way that may pass."""
    command = [settings.NVIDIA_SMI, "-L"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=False)
    except OSError:  # the driver for servers does not bring the program
        return () if settings.NVIDIA_SMI == "none" else _cards_of_the_driver() or _cards_of_torch()
    except subprocess.TimeoutExpired:
        raise Refused(_unlisted(f"it does not answer within {SECONDS_TO_ANSWER} s")) from None
    said = f"{listed.stdout} {listed.stderr}"
    if listed.returncode and NO_CARD not in said:
        raise Refused(_unlisted(" ".join(said.split())[:200] or f"status {listed.returncode}"))
    return parse_cards(listed.stdout)


def _cards_of_the_driver() -> tuple[HostCard, ...]:
    """Return the cards that NVIDIA's driver knows, in the order of nvidia-smi, that of the bus."""
    cards: list[HostCard] = []
    for file in sorted(DRIVER_FOLDER.glob("*/information")):
        facts = dict(_OF_DRIVER.findall(file.read_text(errors="replace")))
        if facts.keys() == {"Model", "GPU UUID"}:
            cards.append(HostCard(str(len(cards)), facts["Model"], facts["GPU UUID"]))
    return tuple(cards)


def _cards_of_torch() -> tuple[HostCard, ...]:
    """Return the cards that torch finds, in the order of the bus: containers and WSL may lack the other two sources."""
    if not any(Path(file).exists() for file in DEVICE_FILES):
        return ()
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    command = [sys.executable, "-c", ASK_TORCH]
    try:
        listed = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=False
        )
    except subprocess.TimeoutExpired:
        raise Refused(_unlisted(f"it is not there, and torch does not answer within {SECONDS_TO_ANSWER} s")) from None
    return parse_cards(listed.stdout)


def _unlisted(why: str) -> str:
    return (
        f"{settings.NVIDIA_SMI} -L fails on {socket.gethostname()} ({why.rstrip('.')}), so it is not known which cards "
        "there are: repair the driver, or set NVIDIA_SMI=none if this host computes on its CPU."
    )


def parse_cards(listing: str) -> tuple[HostCard, ...]:
    """Return the cards of a listing. A card that is split into MIG devices counts as these.

    >>> parse_cards("GPU 0: NVIDIA L4 (UUID: GPU-5a-1)")
    (HostCard(number='0', name='NVIDIA L4', uuid='GPU-5a-1'),)
    """
    cards: list[HostCard] = []
    whole: HostCard | None = None
    for line in listing.splitlines():
        if found := _GPU.match(line):
            whole = HostCard(found["index"], found["name"], found["uuid"])
            cards.append(whole)
        elif whole and (found := _MIG.match(line)):
            cards = [card for card in cards if card != whole]
            cards.append(
                HostCard(f"{whole.number}:{found['index']}", f"{whole.name} {found['profile']}", found["uuid"])
            )
    return tuple(cards)


def choose_cards(wanted: str) -> tuple[HostCard, ...]:
    """Return the cards of this host named by `all`, or by their numbers as in `0,2`; none on a host without cards.

    Raises Refused for a number that this host does not have.
    """
    cards = host_cards()
    if wanted == "all":
        return cards
    by_number = {card.number: card for card in cards}
    numbers = list(dict.fromkeys(number.strip() for number in wanted.split(",")))
    if unknown := [number for number in numbers if number not in by_number]:
        there = f"has {', '.join(by_number)}" if cards else "has none, or `nvidia-smi -L` does not list them"
        raise Refused(f"--gpus: there is no card {', '.join(unknown)}; this host {there}.")
    return tuple(by_number[number] for number in numbers)


def own_card() -> HostCard | None:
    """Return the card that this process computes on; None for a process that computes on the CPU.

    Raises Refused if this host's cards cannot be listed.
    """
    cards = host_cards()
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is None:
        return cards[0] if cards else None
    first = visible.partition(",")[0].strip()
    return next((card for card in cards if _is_meant(card, first)), None)


def _is_meant(card: HostCard, name: str) -> bool:
    """Return whether CUDA means the card by a name: its number, its UUID, or the beginning of that."""
    return name == card.number or (name.startswith(("GPU-", "MIG-")) and card.uuid.startswith(name))
