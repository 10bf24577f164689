"""The methods in sentences with their references, to be copied into a paper. Pure."""

from dataclasses import fields

from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import Section
from annotation.reports.printing.numbers import TIE_RULES, is_scs, metric_name
from annotation.reports.printing.phrases import constant_choice
from annotation.reports.printing.references import cited, cited_keys, reference
from jobs.wording import counted


def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return what was computed and by which formula, each method with its reference."""
    parts = (
        _design(report),
        _metric(report),
        *(_of_judged(report, results) if report.counts.analysed_comparisons else ()),
        _scores(results),
        _seeds(results),
        _reliability(report, results),
        _crossed_model(results),
        _sides(results),
        _rules(report),
        _metrics(results),
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


def _of_judged(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return the paragraphs on what rests on comparisons with votes and scores."""
    return (
        _agreement(report, results),
        _chance_corrected(results),
        _margins(results),
        _people(report, results),
        _skill(results),
        _fragility(results),
        _planning(results),
    )


def _agreement(report: AgreementReport, results: Results) -> str:
    agreement, rival = results.agreement, constant_choice(report.study)
    clusters = order = ""
    if agreement.clusters:
        clusters = (
            f" Comparisons that share a cluster count as n divided by the design effect {cited('kish1965')}, with "
            "Student's t, and tests flip the signs of whole clusters."
        )
    if report.study.are_several:
        order = (
            f" The best fixed order is the one that names the winners of the votes most often {cited('kemeny1959')}."
        )
    return (
        "Agreement is the share of comparisons in which the metric and the votes name the same winner; "
        f"{TIE_RULES[agreement.endpoint]}. "
        f"Its interval is Wilson's {cited('wilson1927')}, next to the exact one {cited('clopper1934')}. Half credits "
        f"and differences have the score interval {cited('tango1998')}.{clusters}{order} The "
        f"difference to {rival} was tested exactly, by flipping the signs of the differences of credits. If credits "
        f"are 0 or 1 and no cluster is shared, this is McNemar's exact test {cited('mcnemar1947')}."
    )


def _chance_corrected(results: Results) -> str:
    test = f"by Fisher's exact test {cited('fisher1922')}"
    if results.agreement.clusters:
        test = "by their covariance, flipping the signs of whole clusters"
    return (
        f"Chance-corrected agreement is Cohen's kappa {cited('cohen1960')}, the Matthews correlation "
        f"{cited('matthews1975')} and balanced accuracy {cited('brodersen2010')}, the mean share that is right of the "
        f"winners for each model. The association of the two choices was tested {test}, and the "
        "agreement against one half by an exact test of its credits."
    )


def _margins(results: Results) -> str:
    if not results.margins.by_margin:
        return ""
    penalised = ""
    if results.margins.calibration.is_penalised:
        penalised = f" The margins separate the votes, so the fit is Firth's {cited('firth1993')}."
    return (
        "The calibration is a logistic regression of the votes on the metric's margin, one row for each comparison, "
        f"with variances over clusters {cited('cameron2015')}.{penalised} It is judged by the Brier score "
        f"{cited('brier1950')}, cross-fitted. The size of the margin is judged by the area under the ROC curve for the "
        f"agreement {cited('hanley1982')}. The tie threshold is the margin up to which naming no winner is most "
        f"accurate, held out {cited('deutsch2023')}."
    )


def _people(report: AgreementReport, results: Results) -> str:
    people, single = results.people, results.single_votes
    said = [
        f"One annotator is judged by the winner of the other votes of a comparison {cited('snow2008')}, and the metric "
        "in that place by the same votes."
    ]
    tested = next(iter(people.alternative_annotator), None)
    if tested and not tested.reason:
        said.append(
            f"The alternative annotator test {cited('calderon2025')} asks of each annotator, by a one-sided t-test, "
            f"whether the metric is as close to the others. It has a tolerance of {tested.tolerance:g}, and is "
            f"corrected for the number of annotators {cited('benjamini2001')}."
        )
    if people.greatest_agreement.value is not None:
        said.append(
            "The greatest agreement that any metric could reach is that of one that knows each comparison's chance of "
            f"a vote for {report.study.sides_in_words[0]}. These chances follow a beta-binomial model of the votes "
            f"{cited('griffiths1973')}, fitted by moments."
        )
    if single is not None:
        said.append(
            "A new annotator on a new prompt is judged vote by vote, each comparison with the same weight, by the "
            "score interval with the two-way variance."
        )
    if results.non_inferiority is not None:
        said.append("The metric in the place of a person is judged by the margin that the study file fixed.")
    return " ".join(said)


def _skill(results: Results) -> str:
    if all(model.agreement.value is None for model in results.sensitivity.dawid_skene):
        return ""
    return (
        "As a check, winners were also those of Dawid and Skene's model, which weighs annotators by error rates "
        f"estimated by the EM algorithm {cited('dawid1979')}, with pseudo-counts of a Dirichlet prior."
    )


def _fragility(results: Results) -> str:
    again = ", and agreement was computed again without each annotator" if results.fragility.without_each else ""
    return f"Fragility is the fewest votes whose removal turns a result, found exactly{again}."


def _planning(results: Results) -> str:
    if results.planning is None or not results.planning.rows:
        return ""
    return (
        "The comparisons that a next study needs are those with which the exact test of paired credits has the wanted "
        f"power {cited('connor1987')}, and keeps it with more {cited('chernick2002')}."
    )


def _scores(results: Results) -> str:
    if results.scores is None or results.scores.wilcoxon.test.p_value is None:
        return ""
    flipped = ", signs flipped by whole clusters," if results.agreement.clusters else ""
    return (
        f"The scores of the two models were compared by Wilcoxon's signed-rank test {cited('wilcoxon1945')}{flipped} "
        f"with the rank-biserial effect {cited('kerby2014')}. Their distributions were compared by Smirnov's test "
        f"{cited('smirnov1948')}, and once more by flipping signs, which keeps the pairs."
    )


def _metrics(results: Results) -> str:
    found = results.metrics
    if not found.pairs:
        return ""
    margin = ""
    if found.equivalence_margin is not None:
        margin = f" Equivalence within the study file's margin takes two one-sided tests {cited('schuirmann1987')}."
    return (
        "Metrics were compared in pairs on the comparisons that all of them scored, by exchanging the two within "
        f"clusters, with Holm's correction {cited('holm1979')}.{margin}"
    )


def _reliability(report: AgreementReport, results: Results) -> str:
    coded = "as for the higher or the lower model in the best fixed order" if report.study.are_several else "by model"
    said = (
        f"Votes are coded {coded}. Their reliability is Krippendorff's alpha {cited('krippendorff2018')}, with Gwet's "
        f"AC1 {cited('gwet2008')}, Brennan and Prediger's coefficient {cited('brennan1981')} and Fleiss' kappa "
        f"{cited('fleiss1971')} beside it."
    )
    if _speaks_about_others(results):
        said += " Intervals for annotators like these are two-way jackknife intervals over prompts and annotators "
        said += f"{cited('cameron2011')}."
    return said


def _speaks_about_others(results: Results) -> bool:
    """Return whether a number has an interval for annotators like these."""
    single, others = results.single_votes, results.reliability.annotators_like_these
    found = [] if others is None else [getattr(others, field.name) for field in fields(others)]
    found += [] if single is None else [single.metric, single.people]
    return any(one.low is not None for one in found)


def _crossed_model(results: Results) -> str:
    if results.crossed_model is None or results.crossed_model.reason:
        return ""
    return (
        f"What makes a vote is a logit model, cumulative if ties were voted {cited('mccullagh1980')}, of the "
        f"margin and the side, with crossed random effects of prompts and annotators {cited('baayen2008')}. It was "
        f"fitted by a Laplace approximation {cited('tierney1986')}, corrected by the next term of its expansion "
        f"{cited('shun1995')}."
    )


def _sides(results: Results) -> str:
    """The check for bias, and the runs of votes on one side."""
    if results.bias.position is None:
        return ""
    return (
        "Whether the side mattered was tested by a t-test of the annotators' shares of votes for the left side, and by "
        "flipping signs. The longest run on one side has the chance that it has in fair draws "
        f"{cited('schilling1990')}."
    )


def _rules(report: AgreementReport) -> str:
    if not report.quality.checks.rules:
        return ""
    return (
        "Votes were excluded by rules that the study file fixed. Each rule is broken from the least count that an "
        "attentive annotator reaches with at most the chance stated there, by the binomial distribution or that of the "
        "longest run."
    )


def _seeds(results: Results) -> str:
    if results.image_noise.images is None:
        return ""
    return (
        f"The standard error of a margin over seeds is a jackknife over images with the same seed in both sets, pairs "
        f"of different images only {cited('snijders1999')}. The chance that a fresh draw of seeds names the other "
        f"model comes from margins shrunk over prompts by empirical Bayes {cited('morris1983')}. Sets with fewer "
        "images are subsets of these images, with the same seeds everywhere."
    )


def _ranking(results: Results) -> str:
    ranking = results.ranking
    if ranking is None:
        return ""
    side = "" if ranking.side is None else f" and an effect of the side {cited('davidson1977')}"
    said = [
        f"The models are ranked by a Bradley-Terry model with ties {cited('davidson1970')}{side}, with variances "
        f"clustered by prompts and annotators {cited('cameron2011')}.",
        f"Each model has the set of ranks that the tests of all pairs leave open {cited('mogstad2024')}.",
    ]
    if not ranking.metric_reason:
        said += [
            "The metric ranks them by mean scores over prompts, adjusted by least squares if scores are missing "
            f"{cited('yates1936')}.",
            f"The two orders are compared by Kendall's tau {cited('kendall1938')} and by the share of pairs that both "
            f"order alike {cited('kocmi2021')}.",
        ]
    return " ".join(said)


def _evidence(results: Results) -> str:
    if results.sequential is None:
        return ""
    return (
        "The evidence that ends the voting is an e-value by betting, and the interval of the agreement beside it a "
        f"confidence sequence; both are valid at any time {cited('waudbysmith2024')}."
    )


def _resampling(report: AgreementReport, results: Results) -> str:
    study = report.study
    confirms = "The evidence" if results.sequential else "Only the test of the primary endpoint"
    return (
        f"Bootstrap intervals are percentiles over {study.resamples} resamples of clusters of comparisons "
        f"{cited('efron1979', 'field2007')} with the seed {study.seed}; those of chance-corrected agreement are "
        f"expanded {cited('hesterberg2015')}. Intervals have a level of {100 * study.level:g} %. {confirms} is "
        "confirmatory; all other p-values are descriptive."
    )
