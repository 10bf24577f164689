"""Each test that docs/threat-model.md names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_each_attack_names_tests_that_exist() -> None:
    rows = [line for line in (ROOT / "docs/threat-model.md").read_text().splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        missing = [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8")]
        assert missing == []
