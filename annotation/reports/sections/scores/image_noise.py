"""How much the scores depend on which images there are. Pure."""

from annotation.reports.findings.budgets import FewerImages
from annotation.reports.findings.scores.image_noise import FreshDraw, ImageNoise
from annotation.reports.findings.study.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import UNDEFINED, Figure, Row, Section, share_row
from annotation.reports.printing.fewer_images import by_images_table, spread
from annotation.reports.printing.numbers import percent, score
from jobs.wording import counted


def section(noise: ImageNoise, facts: Facts) -> Section | None:
    """Fresh seeds, the agreement without doubtful comparisons, and fewer images in each set; None without images, which
    the chapter says."""
    title = "What the scores owe to the images"
    if noise.images is None:
        return None
    text = (
        f"Each score rests on {noise.images} images. {_method(noise.fresh_seeds)} Fewer images: subsets of the same "
        "images, the same seeds everywhere. The brackets are percentiles over subsets and say nothing of other "
        "prompts. ± is how far the score of one set strays from its score with all images, root mean square."
    )
    rows = _fresh_rows(noise.fresh_seeds, noise.comparisons) if noise.fresh_seeds else ()
    fewer = FewerImages(noise.by_images, noise.scores_a, noise.scores_b)
    table = by_images_table("Had there been fewer images", noise.comparisons, fewer, facts.study)
    return Section("image-noise", title, (text,), rows, (table,), _figures(noise, facts.study), is_part=True)


def _method(fresh: FreshDraw | None) -> str:
    if fresh is None:
        return "What a fresh draw of seeds would do was not computed before version 0.3.0."
    undefined = f" The chances are undefined: {fresh.reason}." if fresh.reason else ""
    return (
        "A fresh draw is as many other seeds, the same for both models and all prompts. The chance that it names the "
        "other model follows from the margin and from its standard error over seeds (jackknife, pairs of different "
        "images only; Snijders and Borgatti, 1999), both shrunk over prompts. A comparison is doubtful if the chance "
        f"exceeds 5 %.{undefined} The bounds of the agreement with fresh seeds are those between which the agreement "
        "of a fresh draw would lie, with the same prompts and votes."
    )


def _fresh_rows(fresh: FreshDraw, comparisons: int) -> tuple[Row, ...]:
    others = UNDEFINED if fresh.other_winners is None else percent(fresh.other_winners)
    doubtful = UNDEFINED if fresh.doubtful is None else str(fresh.doubtful)
    repeats = (("clear", fresh.repeats_where_clear), ("doubtful", fresh.repeats_where_doubtful))
    return (
        Row("Winners that a fresh draw of seeds would change, expected", others, n=comparisons),
        Row("Doubtful: a fresh draw could well name the other model", doubtful, n=comparisons),
        share_row("Agreement without the doubtful ones, strict", fresh.agreement_where_clear),
        share_row("Agreement, primary endpoint, with bounds for fresh seeds", fresh.agreement),
        *(share_row(f"Repeats that named the same model again, {which}", share) for which, share in repeats if share.n),
    )


def _figures(noise: ImageNoise, study: StudyFacts) -> tuple[Figure, ...]:
    if not noise.by_images:
        return ()
    fewest, all_of_them = noise.by_images[0], noise.by_images[-1]
    caption = (
        f"Strict agreement, and the share of comparisons whose winner is that of all {noise.images} images, with fewer "
        f"images in each set; n = {counted(noise.comparisons, 'comparison')}. Lines: mean over subsets of the "
        f"images; bands: {fewest.agreement.method}."
    )
    words = f"agreement {spread(fewest.agreement)} with {fewest.images} images, "
    words += f"{spread(all_of_them.agreement)} with {all_of_them.images}"
    figure = Figure("images", "Agreement by number of images", caption, words)
    return (figure,) if study.are_several else (_score_figure(noise), figure)


def _score_figure(noise: ImageNoise) -> Figure:
    caption = (
        f"Mean score of each model's sets with 2 to {noise.images} of their images; n = "
        f"{counted(noise.comparisons, 'set')} a model. "
        f"Lines: mean over subsets of the images; dark bands: {noise.scores_a[0].score.method}. Light bands: "
        "how far the score of a single set strays from its score with all images, root mean square."
    )
    words = "; ".join(
        f"{name}: a single set strays by {score(rows[0].set_error)} points with {rows[0].images} images, by "
        f"{score(rows[len(rows) // 2].set_error)} with {rows[len(rows) // 2].images}"
        for name, rows in (("A", noise.scores_a), ("B", noise.scores_b))
    )
    return Figure("scores-images", "Score by number of images", caption, words)
