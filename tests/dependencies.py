"""The dependencies of this installation: their licences, their versions, known faults, and an SBOM in CycloneDX.

    python -m tests.dependencies                         SBOM in var/sbom.json; ends with status 1 if something is wrong
    python -m tests.dependencies --advisories FOLDER     also against a folder of OSV advisories (JSON), as osv.dev has

Nothing is asked of the network. Without a folder of advisories the versions are "not audited", which is no pass.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
OWN = {"semblance", "semblance-client"}
OF_THE_ENVIRONMENT = {"pip", "setuptools", "wheel"}  # `python -m venv` and pip bring them, whatever is constrained
LONGEST_NAME = 80  # a metadata field with a whole licence text is longer
NO_LICENCE = ("", "UNKNOWN", "License :: OSI Approved")
# Packages whose metadata names no licence, and where their licence was read.
READ_BY_HAND = {"axe-playwright-python": "MIT"}  # its file LICENSE


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package. licence: as its metadata names it; empty if it names none."""

    name: str
    version: str
    licence: str


def installed(distributions: Iterable[metadata.Distribution]) -> list[Package]:
    """Return the packages of other people, by name."""
    found = {canonicalize_name(one.metadata["Name"]): one for one in distributions}
    kept = sorted(found.keys() - OWN - OF_THE_ENVIRONMENT)
    return [Package(name, found[name].version, READ_BY_HAND.get(name) or _licence(found[name])) for name in kept]


def _licence(one: metadata.Distribution) -> str:
    """Return the SPDX expression; else the classifiers; else the field, if it is a name and no text."""
    head = one.metadata
    classifiers = [row for row in head.get_all("Classifier") or () if row.startswith("License ::")]
    named = [row.rpartition(" :: ")[2] for row in classifiers if row not in NO_LICENCE]
    field = (head["License"] or "").strip()
    short = field if len(field) <= LONGEST_NAME and "\n" not in field and field not in NO_LICENCE else ""
    return (head["License-Expression"] or " and ".join(named) or short).strip()


def constrained(text: str) -> dict[str, str]:
    """Return the version of each package in a file of constraints."""
    requirements = (Requirement(line) for line in text.splitlines() if line and not line.startswith("#"))
    return {canonicalize_name(one.name): next(iter(one.specifier)).version for one in requirements}


def faults(packages: Iterable[Package], constraints: dict[str, str]) -> Iterator[str]:
    """Yield a sentence for each package without a licence, and for each of another version than constraints.txt has."""
    for one in packages:
        if not one.licence:
            yield f"{one.name} {one.version}: its metadata names no licence; read it, and add it to READ_BY_HAND."
        wanted = constraints.get(one.name)
        if wanted != str(Version(one.version).public):
            has = wanted or "no such package"
            yield f"{one.name} {one.version}: constraints.txt has {has}; install or freeze again."


def known_faults(packages: Iterable[Package], advisories: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each package that an advisory in the format of OSV names in its installed version."""
    by_name = {one.name: one for one in packages}
    for advisory in advisories:
        for affected in advisory.get("affected", ()):
            named = affected.get("package", {})
            one = by_name.get(canonicalize_name(named.get("name", "")))
            if one and named.get("ecosystem") == "PyPI" and not advisory.get("withdrawn") and _is_in(one, affected):
                summary = advisory.get("summary") or advisory.get("details", "").partition("\n")[0]
                yield f"{one.name} {one.version}: {advisory['id']}: {summary}"


def _is_in(one: Package, affected: dict[str, Any]) -> bool:
    if one.version in affected.get("versions", ()):
        return True
    return any(_is_in_range(Version(one.version), row) for row in affected.get("ranges", ()) if row["type"] != "GIT")


def _is_in_range(version: Version, row: dict[str, Any]) -> bool:
    """Return whether the events of a range, which are in order, leave the version affected."""
    is_affected = False
    for event in row["events"]:
        ((kind, value),) = event.items()
        if kind == "introduced" and (value == "0" or version >= Version(value)):
            is_affected = True
        if (kind == "fixed" and version >= Version(value)) or (kind == "last_affected" and version > Version(value)):
            is_affected = False
    return is_affected


def sbom(packages: Iterable[Package]) -> str:
    """Return the bill of materials in CycloneDX 1.6 (JSON)."""
    licences = LicenseFactory()
    bom = Bom()
    version = metadata.version("semblance")
    bom.metadata.component = Component(name="semblance", version=version, type=ComponentType.APPLICATION)
    for one in packages:
        bom.components.add(
            Component(
                name=one.name,
                version=one.version,
                type=ComponentType.LIBRARY,
                bom_ref=f"{one.name}@{one.version}",
                purl=PackageURL("pypi", name=one.name, version=one.version),
                licenses=[licences.make_from_string(one.licence)] if one.licence else [],
            )
        )
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1)


def main() -> None:
    """Write the SBOM, print what was found, and end with status 1 for a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--advisories", type=Path, help="A folder of OSV advisories (JSON).")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "sbom.json")
    options = parser.parse_args()
    packages = installed(metadata.distributions())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(sbom(packages), encoding="utf-8")
    print(f"{len(packages)} packages, each with its licence in {options.out}")
    found = list(faults(packages, constrained((ROOT / "constraints.txt").read_text(encoding="utf-8"))))
    if options.advisories is None:
        print("Known faults: NOT AUDITED. No advisories are on this machine; give --advisories a folder of osv.dev.")
    else:
        files = sorted(options.advisories.rglob("*.json"))
        if not files:
            found.append(f"{options.advisories} holds no advisory (*.json): nothing was audited.")
        known = list(known_faults(packages, (json.loads(file.read_text(encoding="utf-8")) for file in files)))
        print(f"Known faults: {len(known)} by {len(files)} advisories.")
        found += known
    print("\n".join(found), file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
