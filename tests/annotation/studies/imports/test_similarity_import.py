"""Imported similarities: whole sets or nothing, each fault with its line, and the scores that follow from them."""

import re
from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError

from annotation.models import Study
from scoring.models import PairwiseSimilarities, SetScore
from tests.annotation.studies.test_commands import typed
from tests.factories import make_study

pytestmark = pytest.mark.django_db
HEAD = "model,prompt,seed_i,seed_j,value\n"
ROWS = [
    f"{model},prompt 1,{i},{j},{value}\n"
    for model, values in (("Alpha", (0.1, 0.2, 0.3)), ("Beta", (0.5, 0.6, 0.7)))
    for (i, j), value in zip(combinations(range(3), 2), values, strict=True)
]


@pytest.fixture
def study() -> Study:
    metrics = [{"name": "worst_pair", "needs": "similarities", "similarities": "lpips"}]
    return make_study(state="closed", images_per_set=3, metrics=metrics)


def file_of(folder: Path, text: str) -> str:
    (folder / "pairs.csv").write_text(text)
    return str(folder / "pairs.csv")


def scores_by(metric: str, study: Study) -> list[float]:
    first = study.comparisons.earliest("position")
    return [SetScore.objects.get(image_set=one, metric=metric).value for one in (first.image_set_a, first.image_set_b)]


def test_distances_become_scores_by_every_metric_of_the_study(study: Study, tmp_path: Path) -> None:
    path = file_of(tmp_path, HEAD + "".join(ROWS))
    command = ("import_similarities", "study", path, "--name", "lpips", "--distances")
    said = typed(*command)
    assert said == (
        "lpips: similarities of 2 sets imported, 0 had these already. Scored by mean_of_pairs/pairs:lpips, "
        "worst_pair/pairs:lpips.\nNo rows for 4 sets, which stay without a score.\n"
    )
    assert scores_by("mean_of_pairs/pairs:lpips", study) == pytest.approx([80.0, 40.0])
    assert scores_by("worst_pair/pairs:lpips", study) == pytest.approx([70.0, 30.0])
    assert "0 sets imported, 2 had these already" in typed(*command)
    typed(*command, "--metric", "quantile")
    assert scores_by("quantile/pairs:lpips", study) == pytest.approx([80.0, 40.0])
    assert study.events.get(verb="similarities imported").detail["distances"] is True


def test_a_matrix_of_one_s_own_is_written_as_the_documentation_does(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (settings.BASE_DIR / "docs" / "metrics.md").read_text()
    (program,) = (one for one in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "mine.csv" in one)
    monkeypatch.chdir(tmp_path)
    distances = np.array([(0, 0.1, 0.2), (0.1, 0, 0.3), (0.2, 0.3, 0)])
    seeds = sorted(study.comparisons.earliest("position").image_set_a.seeds)
    exec(program.replace("a kite", "prompt 1"), {"seeds": seeds, "distances": distances})
    typed("import_similarities", "study", "mine.csv", "--name", "mine", "--distances", "--metric", "worst_pair")
    assert SetScore.objects.get(metric="worst_pair/pairs:mine").value == pytest.approx(70.0)


def test_a_kernel_of_distances_has_a_vendi_score(study: Study, tmp_path: Path) -> None:
    path = file_of(tmp_path, HEAD + "".join(ROWS))
    typed("import_similarities", "study", path, "--name", "d", "--distances", "--bandwidth", "1", "--metric", "vendi")
    d = np.array([(0, 0.1, 0.2), (0.1, 0, 0.3), (0.2, 0.3, 0)])
    values = np.linalg.eigvalsh(np.exp(-(d**2)) / 3)
    assert scores_by("vendi/pairs:d", study)[0] == pytest.approx(np.exp(-(values * np.log(values)).sum()))
    assert not SetScore.objects.filter(metric="vendi/pairs:d", higher_is_more_consistent=True).exists()


def test_an_npz_holds_the_same_columns(study: Study, tmp_path: Path) -> None:
    cells = [row.strip().split(",") for row in ROWS]
    names = HEAD.strip().split(",")
    columns = {name: np.array([row[place] for row in cells]) for place, name in enumerate(names)}
    columns["value"] = columns["value"].astype(float)
    columns["seed_i"] = columns["seed_i"].astype(float)
    columns["model"] = columns["model"].astype(bytes)
    np.savez(tmp_path / "pairs.NPZ", allow_pickle=False, **columns)
    (tmp_path / "pairs.NPZ.npz").rename(tmp_path / "pairs.NPZ")
    typed("import_similarities", "study", str(tmp_path / "pairs.NPZ"), "--name", "s")
    assert scores_by("mean_of_pairs/pairs:s", study) == pytest.approx([20.0, 60.0])
    del columns["value"]
    np.savez(tmp_path / "pairs.npz", allow_pickle=False, **columns)
    with pytest.raises(CommandError, match="has no array value"):
        typed("import_similarities", "study", str(tmp_path / "pairs.npz"), "--name", "s")


def test_every_other_npz_ends_in_a_sentence(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "pairs.npz"
    np.savez_compressed(path, allow_pickle=False, **{name: np.arange(60) for name in HEAD.strip().split(",")})
    whole = path.read_bytes()
    array = BytesIO()
    np.save(array, np.arange(6))
    others = [b"", b"text", array.getvalue(), whole[: len(whole) // 2]]
    others += [whole[:at] + bytes((whole[at] ^ 0xFF,)) + whole[at + 1 :] for at in range(0, len(whole), 40)]
    for data in others:
        path.write_bytes(data)
        with pytest.raises(CommandError, match=r"pairs\.npz (is|holds|has)|imported from .*pairs\.npz"):
            typed("import_similarities", "study", str(path), "--name", "s")
    path.unlink()
    with pytest.raises(CommandError, match=r"pairs\.npz cannot be read: No such file"):
        typed("import_similarities", "study", str(path), "--name", "s")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("Gamma,prompt 1,0,1,0.5\n", 'line 8: no image set of this study is of "Gamma" and "prompt 1"'),
        ("Alpha,prompt 1,0,9,0.5\n", 'line 8: "9" is not a seed of the set'),
        ("Alpha,prompt 1,1,0,0.5\n", "line 8: the pair 0 and 1 occurs twice, with another value before"),
        ("Alpha,prompt 1,0,1,x\n", 'line 8: the value is "x", which is not a finite number'),
        ("Alpha,prompt 1,0,1,3\n", "but a similarity lies between -1 and 1; are these --distances?"),
        ("Alpha,prompt 1,1,1,0\n", "but an image has similarity 1 to itself; are these --distances?"),
        ("Alpha,prompt 2,0,1,0.5\n", 'Alpha, "prompt 2": the pair of seeds 0 and 2 is missing'),
    ],
)
def test_a_fault_is_named_and_nothing_is_stored(study: Study, tmp_path: Path, row: str, sentence: str) -> None:
    with pytest.raises(CommandError) as caught:
        typed("import_similarities", "study", file_of(tmp_path, HEAD + "".join(ROWS) + row), "--name", "s")
    assert sentence in str(caught.value)
    assert not PairwiseSimilarities.objects.exists()
    assert not SetScore.objects.filter(metric__endswith="pairs:s").exists()


def test_imported_similarities_do_not_pass_for_those_of_a_comparer(study: Study, tmp_path: Path) -> None:
    path = file_of(tmp_path, HEAD + "".join(ROWS))
    with pytest.raises(CommandError, match="LPIPS:alex is the name of similarities that lpips computes here"):
        typed("import_similarities", "study", path, "--name", "LPIPS:alex")


def test_other_values_under_a_name_are_refused(study: Study, tmp_path: Path) -> None:
    typed("import_similarities", "study", file_of(tmp_path, HEAD + "".join(ROWS)), "--name", "s")
    changed = HEAD + "".join(ROWS).replace("0.7", "0.8")
    with pytest.raises(CommandError, match="has other similarities under s: import these under another name"):
        typed("import_similarities", "study", file_of(tmp_path, changed), "--name", "s")
    with pytest.raises(CommandError, match="not positive semidefinite"):
        typed(
            "import_similarities",
            "study",
            file_of(
                tmp_path,
                HEAD + ROWS[0].replace("0.1", "0.99") + ROWS[1].replace("0.2", "-0.9") + ROWS[2].replace("0.3", "0.9"),
            ),
            "--name",
            "t",
            "--metric",
            "vendi",
        )
    assert not PairwiseSimilarities.objects.filter(name="t").exists()
