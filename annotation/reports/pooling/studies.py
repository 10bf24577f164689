"""Pool the agreement of several studies, each read from its replay bundle. Needs no database."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from annotation.reports.bundle.replay import Replay, replay
from annotation.reports.data.study_data import UnsealedData
from annotation.reports.findings.analysed import analyse
from annotation.reports.findings.study.sequential import ending, is_about_another_metric
from annotation.reports.findings.study.study_facts import notices, study_facts
from annotation.reports.printing.doubts import leaks_of_metric
from annotation.reports.printing.sentences import sentence
from jobs.refusals import Refused
from jobs.wording import counted
from scoring.statistics.agreement.agreement import Signs, TieTreatment, agreement, earned_credit
from scoring.statistics.inference.clusters import clustering
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.studies.pooling import Pooled, pooled_proportion
from scoring.statistics.votes.counts import Integers

Pair = tuple[Path, Path]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PooledStudy:
    """One study of the pool: its own agreement, and the number of its group.

    Studies of one group share prompts or annotators; they count as one study.
    """

    name: str
    bundle: str
    sha256: str
    comparisons: int
    agreement: Estimate
    group: int


@dataclass(frozen=True, slots=True)
class Pool:
    """Several studies together. endpoint: the treatment of ties, the same in all.

    notices: those of each study, and the reservations about its agreement.
    """

    metric: str
    endpoint: str
    studies: tuple[PooledStudy, ...]
    pooled: Pooled
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """A bundle that was read: n analysed comparisons with their prompts, winners and clusters.

    sets: the model, prompt and score of each set; to the last digit they are those of the same images.
    """

    path: Path
    replayed: Replay
    prompts: tuple[str, ...]
    people: Signs
    metric: Signs
    clusters: Integers
    sets: frozenset[tuple[str, str, float]]

    @property
    def name(self) -> str:
        return self.replayed.data.manifest.name


def pool(
    paths: Sequence[Path], *, endpoint: TieTreatment | None = None, same_annotators: Iterable[Pair] = (), level: float
) -> Pool:
    """Pool the agreement of the bundles at `paths`.

    endpoint: how ties count; None: as in every study's manifest. same_annotators: pairs of paths whose studies were
    voted on by some of the same people, which no bundle tells.
    Raises Refused for a file that is no whole bundle, and for studies that differ in their metric or endpoint, or that
    share images: these are no independent evidence.
    """
    read = [_read(path) for path in paths]
    _refuse_shared_images(read)
    way_out = "; make the bundles of one metric (report STUDY --format bundle --metric NAME)"
    metric = _common("metric", [(one.path, one.replayed.data.metric) for one in read], way_out)
    endpoints = [(one.path, one.replayed.data.manifest.analysis.primary_endpoint) for one in read]
    way_out = "; --endpoint takes one for all"
    ties = _common("primary endpoint", endpoints, way_out) if endpoint is None else endpoint
    group = _groups(read, same_annotators)
    sums = [_effective([read[place] for place in np.flatnonzero(group == one)], ties) for one in np.unique(group)]
    return Pool(
        metric=metric,
        endpoint=ties,
        studies=tuple(_study(one, ties, level, int(own) + 1) for one, own in zip(read, group, strict=True)),
        pooled=pooled_proportion([won for won, _ in sums], [size for _, size in sums], level=level),
        notices=tuple(f"{one.name}: {notice}" for one in read for notice in _notices(one.replayed.data)),
    )


def _read(path: Path) -> _Read:
    replayed = replay(path)
    analysed = analyse(replayed.data)
    if not len(analysed):
        raise Refused(f"{path} has no comparison with both votes and two scores: it adds nothing to a pool.")
    prompts = tuple(" ".join(replayed.data.comparisons.prompt[place].split()).casefold() for place in analysed.place)
    return _Read(
        path, replayed, prompts, analysed.people, analysed.metric, analysed.clusters, _scored_sets(replayed.data)
    )


def _notices(data: UnsealedData) -> Iterator[str]:
    yield from notices(data)
    yield from map(sentence, leaks_of_metric(study_facts(data)))
    is_of_metric = data.manifest.annotation.stop_when_decided == "metric" and not is_about_another_metric(data)
    if is_of_metric and ending(data).after_clusters:
        yield "The voting ended when the claim was decided: the agreement of such studies is too extreme on average."


def _common(what: str, found: Sequence[tuple[Path, T]], way_out: str) -> T:
    """Return what all bundles have, or refuse, name two that differ, and give the way out."""
    (first, value), *others = found
    for path, other in others:
        if other != value:
            raise Refused(f"{first} and {path} differ in their {what}: {value} and {other}{way_out}.")
    return value


def _refuse_shared_images(read: Sequence[_Read]) -> None:
    """Refuse two bundles with a common image: by the files' hashes, or by a set with the same prompt and score."""
    for one, other in combinations(read, 2):
        if one.replayed.sha256 == other.replayed.sha256:
            raise Refused(f"{one.path} and {other.path} are the same bundle; give each study once.")
        shared = one.replayed.images & other.replayed.images
        sets = one.sets & other.sets
        if shared or sets:
            what = counted(len(shared), "image") if shared else counted(len(sets), "image set")
            what += "" if shared else " (the same model, prompt and score)"
            raise Refused(
                f"{one.path} and {other.path} share {what}: they are no independent evidence. Pool only one of them."
            )


def _scored_sets(data: UnsealedData) -> frozenset[tuple[str, str, float]]:
    rows, names = data.comparisons, [plan.name for plan in data.manifest.models.values()]
    return frozenset(
        (names[model], prompt, float(score))
        for models, scores in ((rows.model_a, rows.score_a), (rows.model_b, rows.score_b))
        for model, prompt, score in zip(models.tolist(), rows.prompt, scores.tolist(), strict=True)
        if not np.isnan(score)
    )


def _groups(read: Sequence[_Read], same_annotators: Iterable[Pair]) -> Integers:
    """The group of each study, from 0: studies that share a prompt or, as the caller says, annotators have one."""
    place = {one.path: number for number, one in enumerate(read)}
    asked = [set(one.prompts) for one in read]
    linked = [(one, other) for one, other in combinations(range(len(read)), 2) if asked[one] & asked[other]]
    for pair in same_annotators:
        if unknown := [name for name in pair if name not in place]:
            raise Refused(f"--same-annotators names {unknown[0]}, which is none of the bundles; write it as above.")
        linked.append((place[pair[0]], place[pair[1]]))
    return _components(len(read), linked)


def _components(count: int, linked: Sequence[tuple[int, int]]) -> Integers:
    rows, columns = ([link[side] for link in linked] for side in (0, 1))
    graph = coo_array((np.ones(len(linked)), (rows, columns)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _effective(group: Sequence[_Read], ties: TieTreatment) -> tuple[float, float]:
    """The credit and the size of a group, both divided by its design effect.

    A cluster of one study and a comparison of another study with one of its prompts are one cluster.
    """
    earned = np.concatenate([earned_credit(one.people, one.metric, ties=ties) for one in group])
    texts = [prompt for one in group for prompt in one.prompts]
    labels = [f"{number} {label}" for number, one in enumerate(group) for label in one.clusters.tolist()]
    nodes = {name: place for place, name in enumerate(dict.fromkeys([*texts, *labels]))}
    of_text = _components(len(nodes), [(nodes[text], nodes[label]) for text, label in zip(texts, labels, strict=True)])
    clusters, counts = of_text[[nodes[text] for text in texts]], ~np.isnan(earned)
    if not counts.any():
        raise Refused(f"{group[0].path} has no comparison that both decide: it adds nothing to a pool.")
    shared = clustering(earned[counts], clusters[counts])
    effect = shared.design_effect if shared else 1.0
    return float(earned[counts].sum()) / effect, float(counts.sum()) / effect


def _study(one: _Read, ties: TieTreatment, level: float, group: int) -> PooledStudy:
    own = agreement(one.people, one.metric, ties=ties, clusters=one.clusters, level=level)
    return PooledStudy(one.name, one.path.name, one.replayed.sha256, len(one.people), own, group)
