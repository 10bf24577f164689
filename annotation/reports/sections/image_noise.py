"""What the scores owe to the images that there happen to be. Pure."""

from annotation.reports.agreement_report import Results
from annotation.reports.figures.captions import IMAGES, SCORES_BY_IMAGES
from annotation.reports.findings.image_noise import FewerImages, ImageNoise
from annotation.reports.sections.blocks import UNDEFINED, Figure, Row, Section, Table, share_row
from annotation.reports.sections.numbers import percent, probability, score
from jobs.wording import counted
from scoring.statistics.estimate import Estimate
from scoring.statistics.image_count import ScoreAtImages


def image_noise_section(found: Results) -> Section:
    """Resampled seeds, the agreement without doubtful comparisons, and fewer images a set."""
    noise, title = found.image_noise, "What the scores owe to the images"
    if noise.images is None:
        return Section("image-noise", title, (f"Undefined: {noise.reason}.",), is_part=True)
    rows = (
        Row("Comparisons that other seeds could well have turned", str(noise.doubtful), n=noise.comparisons),
        share_row("Agreement without these, strict", noise.agreement_where_clear),
    )
    text = (
        f"Each score rests on {noise.images} images. Their seeds are resampled jointly for both models, pairs of "
        "different images only (Snijders and Borgatti, 1999); doubtful is a comparison whose winner changes in more "
        "than 5 % of the resamples. Fewer images: subsets of the same images, the same seeds everywhere; the brackets "
        "are percentiles over subsets and say nothing of other prompts; ± is how far the score of one set strays from "
        "its score with all images, root mean square."
    )
    fewer = FewerImages(noise.by_images, noise.scores_a, noise.scores_b)
    table = by_images_table("Had there been fewer images", noise.comparisons, fewer)
    return Section("image-noise", title, (text,), rows, (table,), _figures(noise), is_part=True)


def _figures(noise: ImageNoise) -> tuple[Figure, ...]:
    if not noise.by_images:
        return ()
    fewest, all_of_them = noise.by_images[0], noise.by_images[-1]
    caption = (
        f"Strict agreement, and the share of comparisons whose winner is that of all {noise.images} images, with fewer "
        f"images a set; n = {counted(noise.comparisons, 'comparison')}. Lines: mean over subsets of the images; bands: "
        f"{fewest.agreement.method}."
    )
    words = f"agreement {_spread(fewest.agreement)} with {fewest.images} images, "
    words += f"{_spread(all_of_them.agreement)} with {all_of_them.images}"
    return _score_figure(noise), Figure(IMAGES, "Agreement by number of images", caption, words)


def _score_figure(noise: ImageNoise) -> Figure:
    caption = (
        f"Mean score of each model's sets with 2 to {noise.images} of their images; n = "
        f"{counted(noise.comparisons, 'set')} a model. "
        f"Lines: mean over subsets of the images; dark bands: {noise.scores_a[0].score.method}; light bands: "
        "how far the score of a single set strays from its score with all images, root mean square."
    )
    words = "; ".join(
        f"{name}: a single set strays by {score(rows[0].set_error)} points with {rows[0].images} images, by "
        f"{score(rows[len(rows) // 2].set_error)} with {rows[len(rows) // 2].images}"
        for name, rows in (("A", noise.scores_a), ("B", noise.scores_b))
    )
    return Figure(SCORES_BY_IMAGES, "Score by number of images", caption, words)


def by_images_table(title: str, comparisons: int, noise: FewerImages) -> Table:
    """Agreement and scores with fewer images a set, one row a number of images."""
    rows = tuple(
        (str(row.images), _spread(row.agreement), _spread(row.same_winner), *map(_points, (a, b)))
        for row, a, b in zip(noise.by_images, noise.scores_a, noise.scores_b, strict=True)
    )
    head = ("Images a set", "Agreement", "Winner as with all", "Score of A ± of one set", "Score of B ± of one set")
    subsets = noise.by_images[0].agreement.method if noise.by_images else ""
    return Table(f"{title}: {counted(comparisons, 'comparison')}, {subsets}", head, rows, (0, 1, 2, 3, 4))


def _points(row: ScoreAtImages) -> str:
    """The mean score, its percentiles, and how far a single set strays."""
    mean = row.score
    bounds = "" if mean.low is None or mean.high is None else f" [{score(mean.low)}, {score(mean.high)}]"
    return f"{score(mean.value)}{bounds} ± {score(row.set_error)}"


def _spread(estimate: Estimate) -> str:
    if estimate.value is None:
        return UNDEFINED
    if estimate.low is None or estimate.high is None:
        return percent(estimate.value)
    return f"{percent(estimate.value)} [{percent(estimate.low)}, {percent(estimate.high)}]".replace(" %,", ",").replace(
        " %]", "]"
    )


def noise_tables(found: Results) -> tuple[Table, ...]:
    """Each comparison's margin under resampled seeds; none where there are no images."""
    noise = found.image_noise
    if noise.images is None:
        return ()
    rows = tuple(
        (
            str(row.position),
            score(row.margin.value),
            UNDEFINED if row.margin.low is None else f"[{score(row.margin.low)}, {score(row.margin.high)}]",
            score(row.standard_error),
            UNDEFINED if row.flip is None else probability(row.flip).removeprefix("= "),
        )
        for row in noise.margins
    )
    head = ("No.", "Margin", "Interval", "SE (jackknife)", "P(another winner)")
    caption = f"Margins under resampled seeds, n = {noise.images} images"
    method = noise.margins[0].margin.method if noise.margins else ""
    caption += f", {method.replace('clusters', 'seeds')}"
    return (Table(caption, head, rows, (0, 1, 2, 3, 4), is_long=True),)
