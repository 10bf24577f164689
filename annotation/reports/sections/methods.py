"""The methods in sentences with their references, to be copied into a paper. Pure."""

from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Section
from annotation.reports.printing.numbers import TIE_RULES, is_scs, metric_name
from annotation.reports.printing.phrases import constant_choice
from annotation.reports.printing.references import cited, cited_keys, reference
from jobs.wording import counted


def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return what was computed and by which formula, each method with its reference."""
    judged = (_agreement(report, results), _people(results)) if report.counts.analysed_comparisons else ("", "")
    parts = (
        _design(report),
        _metric(report),
        judged[0],
        _scores(results),
        _reliability(report),
        judged[1],
        _metrics(results),
        _seeds(results),
        _ranking(results),
        _evidence(results),
        _resampling(report, results),
    )
    return tuple(part for part in parts if part)


def section(texts: tuple[str, ...], _facts: Facts) -> Section:
    """The references of these paragraphs, in the order of the first author's name."""
    return Section("references", "References", tuple(map(reference, cited_keys(texts))))


def _design(report: AgreementReport) -> str:
    counts, study = report.counts, report.study
    ties = ", or neither" if study.are_ties_allowed else ""
    wins = "Votes for neither cancel, and the model with more of the other votes wins the comparison."
    if study.source == "external":  # how these votes were cast is not known here
        cast = f"The votes were imported; each names the more consistent of two sets of images{ties}."
    else:
        cast = f"Annotators saw two sets of images at a time and chose one{ties}. The question was “{study.question}”."
    return (
        f"{cast} "
        f"{counted(counts.voted_comparisons, 'comparison')} had {counted(counts.votes, 'vote')} by "
        f"{counted(counts.annotators, 'annotator')}. "
        f"{wins if study.are_ties_allowed else 'The model with more votes wins the comparison.'}"
    )


def _metric(report: AgreementReport) -> str:
    study, images = report.study, report.study.images_per_set
    if not study.metric:
        return ""
    if is_scs(study.metric):
        how = f"the mean of max(100 cos, 0) over all pairs of images of a set {cited('bent2024')}"
        embedded = f" from embeddings by {metric_name(study.metric).partition('(')[2].removesuffix(')')}"
        of = f" with {images} images in each set" if images else ""
        return f"The Semantic Consistency Score is {how},{embedded}{of}. The set with the higher score wins."
    better = "lower" if study.is_lower_more_consistent else "higher"
    return f"The metric is {metric_name(study.metric)}; the set with the {better} score wins."


def _agreement(report: AgreementReport, results: Results) -> str:
    agreement, rival = results.agreement, constant_choice(report.study)
    clusters = ""
    if agreement.clusters:
        clusters = " Comparisons that share a cluster count as n divided by the design effect, with Student's t."
    return (
        f"Agreement is the share of comparisons in which both name the same winner; {TIE_RULES[agreement.endpoint]}. "
        f"Its interval is Wilson's {cited('wilson1927')}, next to the exact one {cited('clopper1934')}.{clusters} The "
        f"difference to {rival} was tested exactly, by flipping the signs of the differences of credits. If credits "
        f"are 0 or 1 and no cluster is shared, this is McNemar's exact test {cited('mcnemar1947')}. Chance-corrected "
        f"agreement is Cohen's kappa {cited('cohen1960')} and the Matthews correlation {cited('matthews1975')}."
    )


def _scores(results: Results) -> str:
    if results.scores is None or results.scores.wilcoxon.test.p_value is None:
        return ""
    return f"The scores of the two models were compared by Wilcoxon's signed-rank test {cited('wilcoxon1945')}."


def _metrics(results: Results) -> str:
    if not results.metrics.pairs:
        return ""
    return (
        "Metrics were compared in pairs on the comparisons that all of them scored, by exchanging the two within "
        f"clusters, with Holm's correction {cited('holm1979')}."
    )


def _reliability(report: AgreementReport) -> str:
    coded = "higher or lower model in the best fixed order" if report.study.are_several else "model"
    return (
        f"Votes are coded by {coded}. Their reliability is Krippendorff's alpha {cited('krippendorff2018')}, with "
        f"Gwet's AC1 {cited('gwet2008')} and Brennan and Prediger's coefficient {cited('brennan1981')} beside it. "
        "Intervals for annotators like these are two-way jackknife intervals over prompts and annotators "
        f"{cited('cameron2011')}."
    )


def _people(results: Results) -> str:
    if results.single_votes is None:
        return ""
    said = (
        "One annotator is judged by the winner of the other votes of a comparison, and the metric in that place by the "
        "same votes. A new annotator on a new prompt is judged vote by vote, each comparison with the same weight."
    )
    if results.non_inferiority is not None:
        said += " The metric in the place of a person is judged by the margin that the study file fixed."
    return said


def _seeds(results: Results) -> str:
    if results.image_noise.images is None:
        return ""
    return (
        f"The standard error of a margin over seeds is a jackknife over images with the same seed in both sets, pairs "
        f"of different images only {cited('snijders1999')}. The chance that a fresh draw of seeds names the other "
        "model comes from margins shrunk over prompts."
    )


def _ranking(results: Results) -> str:
    if results.ranking is None:
        return ""
    return (
        f"The models are ranked by a Bradley-Terry model with ties {cited('davidson1970')}, and each has the set of "
        f"ranks that the tests of all pairs leave open {cited('mogstad2024')}."
    )


def _evidence(results: Results) -> str:
    if results.sequential is None:
        return ""
    return f"The evidence that ends the voting is an e-value by betting, valid at any time {cited('waudbysmith2024')}."


def _resampling(report: AgreementReport, results: Results) -> str:
    study = report.study
    confirms = "The evidence" if results.sequential else "Only the test of the primary endpoint"
    return (
        f"Bootstrap intervals are percentiles over {study.resamples} resamples of clusters of comparisons "
        f"{cited('efron1979', 'field2007')} with the seed {study.seed}; those of chance-corrected agreement are "
        f"expanded {cited('hesterberg2015')}. Intervals have a level of {100 * study.level:g} %. {confirms} is "
        "confirmatory; all other p-values are descriptive."
    )
