"""The cards of a host, from listings of nvidia-smi."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from annotation.management.processes import worker_plans
from generation.machines import cards
from generation.machines.cards import HostCard, choose_cards, host_cards, own_card, parse_cards
from generation.machines.workers import leave_sign, may_take_on_this_card, this_card
from generation.models import GenerationJob, WorkerSign
from jobs.refusals import Refused
from tests.generation.planned_sets import planned

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


def test_a_host_without_cards(listed: Path) -> None:
    listed.write_text("#!/bin/sh\necho 'No devices were found'; exit 6\n")
    assert choose_cards("all") == ()
    with pytest.raises(Refused, match="there is no card 0; this host has none"):
        choose_cards("0")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "why"), [("exit 9", "status 9"), ("echo 'NVIDIA-SMI has failed.' >&2; exit 9", "NVIDIA-SMI has failed")]
)
def test_a_worker_rests_while_its_cards_cannot_be_listed(listed: Path, answer: str, why: str) -> None:
    whole = listed.read_text()
    listed.write_text(f"#!/bin/sh\n{answer}\n")
    planned(seeds=[1])
    sentence = f"nvidia-smi -L fails on {socket.gethostname()} ({why}), so it is not known which cards there are"
    with pytest.raises(Refused, match=re.escape(sentence)):
        choose_cards("all")
    leave_sign(name="gpu@here")
    sign = WorkerSign.objects.get()
    assert (sign.card, sentence in sign.note) == (None, True)
    assert not may_take_on_this_card(GenerationJob).exists()
    leave_sign(name="control@here")
    assert WorkerSign.objects.get(queue="control").note == ""
    listed.write_text(whole)
    leave_sign(name="gpu@here")
    sign.refresh_from_db()
    assert (sign.card is not None, sign.note) == (True, "")
    assert may_take_on_this_card(GenerationJob).exists()


OF_THE_DRIVER = """\
Model: \t\t NVIDIA L4
IRQ:   \t\t 37
GPU UUID: \t GPU-1a2b-{number}
Video BIOS: \t 95.04.29.00.06
"""


def test_a_host_without_the_program_asks_the_driver(
    listed: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.NVIDIA_SMI = str(listed.with_name("absent"))
    monkeypatch.setattr(cards, "DRIVER_FOLDER", tmp_path / "gpus")
    assert host_cards() == ()
    for number, place in enumerate(("0000:1b:00.0", "0000:65:00.0", "0000:c3:00.0")):
        folder = tmp_path / "gpus" / place
        folder.mkdir(parents=True)
        (folder / "information").write_text(OF_THE_DRIVER.format(number=number) if number < 2 else "Model: lost\n")
    host_cards.cache_clear()
    assert host_cards() == tuple(HostCard(str(number), "NVIDIA L4", f"GPU-1a2b-{number}") for number in (0, 1))
    settings.NVIDIA_SMI = "none"
    host_cards.cache_clear()
    assert host_cards() == ()


TORCH = """
class cuda:
    name, uuid = "NVIDIA L4", "77-0"
    device_count = staticmethod(lambda: 1)
    get_device_properties = classmethod(lambda kind, _number: kind)
"""


@pytest.mark.django_db
def test_a_card_that_only_torch_knows_is_no_cpu(
    listed: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.NVIDIA_SMI = str(listed.with_name("absent"))
    monkeypatch.setattr(cards, "DRIVER_FOLDER", tmp_path / "gpus")
    monkeypatch.setattr(cards, "DEVICE_FILES", (str(tmp_path / "nvidia0"),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "torch.py").write_text(TORCH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert this_card().name == "CPU"
    (tmp_path / "nvidia0").touch()
    host_cards.cache_clear()
    leave_sign(name="gpu@here")
    card = WorkerSign.objects.get().card
    assert card is not None
    assert (card.name, card.number, card.key) == ("NVIDIA L4", "0", "GPU-77-0")


@pytest.mark.parametrize(
    ("visible", "number"),
    [
        *((None, "0"), ("GPU-1a2b-2", "2"), ("MIG-77-1", "1:1"), ("2,0", "2"), ("", None), ("9", None)),
        *(("GPU-1a2b-", "0"), ("G", None)),
    ],
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
