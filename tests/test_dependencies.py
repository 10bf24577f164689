"""The check of the dependencies: licences, versions, known faults, and the bill of materials."""

import json
from importlib import metadata

import pytest

from tests.dependencies import Package, constrained, faults, installed, known_faults, sbom

ONE = Package("one", "2.1", "MIT")


def test_each_fault_is_a_sentence() -> None:
    found = list(
        faults([ONE, Package("two", "1.0+cpu", ""), Package("three", "3", "BSD")], {"one": "2.1", "two": "1.0"})
    )
    assert found == [
        "two 1.0+cpu: its metadata names no licence; read it, and add it to READ_BY_HAND.",
        "three 3: constraints.txt has no such package; install or freeze again.",
    ]
    assert constrained("# made anew\ntorch==2.13.0\nruamel.yaml==0.18\n") == {"torch": "2.13.0", "ruamel-yaml": "0.18"}


@pytest.mark.parametrize(
    ("events", "is_known"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "2.2"}], True),
        ([{"introduced": "0"}, {"fixed": "2.1"}], False),
        ([{"introduced": "2.2"}], False),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}, {"last_affected": "2.1"}], True),
        ([{"introduced": "0"}, {"last_affected": "2.0.9"}], False),
    ],
)
def test_an_advisory_counts_for_the_versions_that_it_names(events: list[dict[str, str]], is_known: bool) -> None:
    affected = {"package": {"ecosystem": "PyPI", "name": "One"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    advisory = {"id": "PYSEC-1", "summary": "It leaks.", "affected": [affected]}
    found = list(known_faults([ONE], [advisory]))
    assert found == (["one 2.1: PYSEC-1: It leaks."] if is_known else [])
    assert list(known_faults([ONE], [advisory | {"withdrawn": "2026-01-01T00:00:00Z"}])) == []


def test_the_bill_of_materials_names_every_installed_package() -> None:
    packages = installed(metadata.distributions())
    document = json.loads(sbom(packages))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    listed = {(row["name"], row["version"]) for row in document["components"]}
    assert listed == {(one.name, one.version) for one in packages}
    assert {"django", "torch", "pillow"} <= {one.name for one in packages}
    assert [one.name for one in packages if not one.licence] == []
