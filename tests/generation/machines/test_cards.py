"""The cards of a host, from listings of nvidia-smi."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from annotation.management.processes import worker_plans
from generation.machines.cards import HostCard, choose_cards, host_cards, own_card, parse_cards
from jobs.refusals import Refused

LISTING = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1a2b-0)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-1a2b-1)
  MIG 3g.40gb     Device  0: (UUID: MIG-77-0)
  MIG 3g.40gb     Device  1: (UUID: MIG-77-1)
GPU 2: NVIDIA L4 (UUID: GPU-1a2b-2)
"""


def test_a_card_that_is_split_counts_as_its_parts() -> None:
    assert [(card.number, card.uuid) for card in parse_cards(LISTING)] == [
        ("0", "GPU-1a2b-0"),
        ("1:0", "MIG-77-0"),
        ("1:1", "MIG-77-1"),
        ("2", "GPU-1a2b-2"),
    ]
    assert parse_cards("No devices were found\n") == ()


@pytest.fixture
def listed(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """A program that stands in for nvidia-smi; a test may write another one."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] && cat <<'END'\n{LISTING}END\n")
    program.chmod(0o755)
    settings.NVIDIA_SMI = str(program)
    host_cards.cache_clear()
    yield program
    host_cards.cache_clear()


def test_the_cards_that_are_chosen(listed: Path) -> None:
    assert len(choose_cards("all")) == 4
    assert [card.number for card in choose_cards("2, 0,2")] == ["2", "0"]
    with pytest.raises(Refused, match=r"--gpus: there is no card 3; this host has 0, 1:0, 1:1, 2\."):
        choose_cards("0,3")


@pytest.mark.parametrize("answer", ["exit 9", "echo 'NVIDIA-SMI has failed'; exit 9"])
def test_a_host_without_cards(listed: Path, answer: str) -> None:
    listed.write_text(f"#!/bin/sh\n{answer}\n")
    assert choose_cards("all") == ()
    with pytest.raises(Refused, match="there is no card 0; this host has none"):
        choose_cards("0")


def test_a_host_without_the_program(listed: Path, settings: Settings) -> None:
    settings.NVIDIA_SMI = str(listed.with_name("absent"))
    assert host_cards() == ()


@pytest.mark.parametrize(
    ("visible", "number"),
    [(None, "0"), ("GPU-1a2b-2", "2"), ("MIG-77-1", "1:1"), ("2,0", "2"), ("", None), ("9", None)],
)
def test_the_card_of_this_process(
    listed: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, number: str | None
) -> None:
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    card = own_card()
    assert (card.number if card else None) == number


def test_every_card_has_a_process_of_its_own() -> None:
    plans = worker_plans(("gpu", "control"), [HostCard("0", "NVIDIA L4", "GPU-0"), HostCard("1:0", "MIG", "MIG-0")])
    assert [plan.name for plan in plans] == ["control", "gpu-0", "gpu-1.0", "files", "clock"]
    assert [plan.environment.get("CUDA_VISIBLE_DEVICES") for plan in plans] == [None, "GPU-0", "MIG-0", None, None]
    assert "gpu-1.0@%h" in plans[2].arguments
