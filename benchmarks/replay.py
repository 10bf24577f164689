"""Replay the paper's three findings with the miniature models: 100 prompts, 20 images in each set, on this machine.

    python -m benchmarks.replay [--folder var/replay]

1. Do the two models differ in SCS (Wilcoxon signed-rank, two-sample Kolmogorov-Smirnov)?
2. Does the LoRA raise SCS over the base model?
3. Does the score's winner agree with an annotator who sees only the content of the pictures: how much their objects
   differ in place and size, and how many styles there are, read by the rules of `miniatures.rule_reader`?

The annotator is a program and its votes are simulated. Everything runs through the platform: study files, worker,
votes, reports. It may be stopped and started again. All figures are printed, whatever they show.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
STUDIES = ("miniature-pixart", "miniature-lora")
WEIGHTS = ROOT / "miniatures" / "weights"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "replay", help="database, images and reports")
    return parser.parse_args()


def main() -> None:
    """Make, score, annotate and report both studies, then print the three findings."""
    folder = _arguments().folder.resolve()
    if not WEIGHTS.exists():
        sys.exit(f"There are no models in {WEIGHTS}. Train them: make miniatures")
    os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "SEMBLANCE_VAR": str(folder)}
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import django

    django.setup()
    _replay(folder)


def _replay(folder: Path) -> None:
    from django.core.management import call_command

    from annotation.management.processes import running, worker_plans

    folder.mkdir(parents=True, exist_ok=True)
    call_command("migrate", verbosity=0, interactive=False)
    with running(*worker_plans(("gpu", "control")), patience_seconds=30, say=print):
        documents = {slug: _one_study(slug, folder) for slug in STUDIES}
    print("\n".join(findings(documents)))


def _one_study(slug: str, folder: Path) -> Mapping[str, Any]:
    """Run one study to its end from its present state, and return its report as a document."""
    from django.core.management import call_command

    from annotation.models import Study
    from annotation.studies.lifecycle.creation import create_study
    from annotation.studies.lifecycle.transitions import close, open_study
    from annotation.studies.study_file.reading import read_study_file
    from annotation.voting.simulation.simulated_votes import Crowd, simulate

    manifest = read_study_file(ROOT / "docs" / "studies" / f"{slug}.toml")
    study = Study.objects.filter(slug=slug).first() or create_study(manifest=manifest)
    if study.state not in (Study.State.OPEN, Study.State.CLOSED):
        call_command("run_study", slug)
        study.refresh_from_db()
        open_study(study=study)
    if study.state == Study.State.OPEN:
        rules = replace(manifest.voting_rules(), comparisons_per_annotator=len(manifest.prompts))
        simulate(study=study, rules=rules, crowd=Crowd(annotators=1, noise=0.0, seed=0), spreads=truth_spreads(study))
        close(study=study)
    out = folder / f"{slug}.json"
    call_command("report", slug, format="json", out=out)
    call_command("report", slug, format="html", out=out.with_suffix(".html"))
    document: Mapping[str, Any] = json.loads(out.read_text())
    return document


def truth_spreads(study: Any) -> dict[int, tuple[float, float]]:
    """By comparison, how much the objects of set A and of set B differ: place, size, styles, in typical units.

    Each of the three is divided by its root mean square over all sets of the study, so that none outweighs the others.
    """
    from annotation.models import Comparison

    rows = Comparison.objects.filter(study=study).values_list("pk", "image_set_a", "image_set_b")
    seen = {pk: (_spread_of(first), _spread_of(second)) for pk, first, second in rows}
    sets = [spread for both in seen.values() for spread in both]
    unit = {key: math.sqrt(sum(one[key] ** 2 for one in sets) / len(sets)) or 1.0 for key in sets[0]}
    return {pk: (_total(first, unit), _total(second, unit)) for pk, (first, second) in seen.items()}


def _spread_of(image_set_id: int) -> dict[str, float]:
    from generation.models import GeneratedImage
    from generation.pictures.files import open_image
    from miniatures.judging import spreads

    images = GeneratedImage.objects.filter(image_set=image_set_id).order_by("seed")
    found = spreads([open_image(image) for image in images])
    return {"place": 0.0, "size": 0.0, "styles": 0.0} | {key: value for key, value in found.items() if key != "seen"}


def _total(spread: Mapping[str, float], unit: Mapping[str, float]) -> float:
    return sum(value / unit[key] for key, value in spread.items())


def findings(documents: Mapping[str, Any]) -> list[str]:
    """Return the lines to print; every figure comes from the reports."""
    lines = []
    for slug, document in documents.items():
        study, scores = document["study"], document["results"]["scores"]
        medians = " and ".join(
            f"{study[side]} {_number(scores[side]['median'])} (mean {_number(scores[side]['mean'])})"
            for side in ("model_a", "model_b")
        )
        effect = scores["wilcoxon"]["rank_biserial"]
        lines += [
            f"{slug}: median SCS of {scores['model_a']['n']} sets each: {medians}",
            f"  Wilcoxon signed-rank {_test(scores['wilcoxon']['test'])}; rank-biserial {_estimate(effect)}",
            f"  Kolmogorov-Smirnov {_test(scores['kolmogorov_smirnov'])}; "
            f"by sign flips within prompts {_test(scores['kolmogorov_smirnov_sign_flip'])}",
            f"  {document['claim']}",
        ]
    return lines


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _test(test: Mapping[str, Any]) -> str:
    return f"undefined ({test['reason']})" if test["p_value"] is None else f"p = {test['p_value']:.3g}"


def _estimate(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return f"undefined ({estimate['reason']})"
    return f"{estimate['value']:.3f} [{_number(estimate['low'])} to {_number(estimate['high'])}]"


if __name__ == "__main__":
    main()
