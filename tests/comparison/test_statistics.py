"""The statistics of `compare`: worked examples, references, degenerate cases."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, ttest_ind, ttest_rel
from sklearn.metrics import accuracy_score, f1_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from worked_example import CLASSES, IMAGES, LABELS, RUNS, probabilities_of

from bakeoff.comparison.statistics.classical import benjamini_hochberg, holm, mcnemar_mid_p, wilson
from bakeoff.comparison.statistics.letters import tie_letters
from bakeoff.comparison.statistics.noise import Noise, effective_images, guard, noise_of, own_interval
from bakeoff.comparison.statistics.pairs import (
    Difference,
    detectable,
    difference_of,
    recall_differences,
    recall_noises,
    table_df,
)
from bakeoff.comparison.statistics.values import METRICS, Metric, Outcomes, outcomes, values_of

RESULTS = {
    name: [outcomes(IMAGES, LABELS, probabilities_of(name, run)) for run in range(RUNS[name][1])]
    for name in RUNS
}


def values(name: str, metric: Metric) -> np.ndarray:
    return np.stack([values_of(metric, run) for run in RESULTS[name]])


def noises(metric: Metric, names: str = "ABCD") -> dict[str, Noise]:
    guarded = guard([noise_of(values(name, metric)) for name in names])
    return dict(zip(names, guarded, strict=True))


def pairs_of(metric: Metric, names: str = "ABCD") -> dict[str, Difference]:
    table = noises(metric, names)
    df = table_df(list(table.values()))
    return {
        f"{a}-{b}": difference_of(table[a], table[b], metric, df) for a, b in itertools.combinations(names, 2)
    }


def near(expected: float) -> object:
    return pytest.approx(expected, rel=1e-9, abs=1e-12)


# score, s2, floor, s2*, nu*, own low, own high, n_eff
OWN = {
    "accuracy": """
A 0.977777777778 5.92592592593e-05 5.1827077914e-05 0.000221042127302 3.2740445436 0.937650652668 0.99229197218 230.503074265
B 0.973333333333 8.88888888889e-05 4.42958008175e-05 0.000188921282799 3.2740445436 0.918100122437 0.991655851154 189.998817582
C 0.856 0.000824444444444 0.000124332961724 0.000824444444444 5 0.807790711037 0.893708655278 274.182628444
D 0.963333333333 - - - - 0.935546151828 0.979404694837 300""",
    "macro_f1": """
A 0.97790787987 5.82269380491e-05 5.0828386265e-05 0.000222326380542 3.2740445436 0.937461102372 0.992407722537 230.643778046
B 0.973235740622 8.96874569603e-05 4.35793192783e-05 0.000190618530974 3.2740445436 0.917814847744 0.991625024323 189.312629975
C 0.855709013122 0.000831426089349 0.000122906464937 0.000831426089349 5 0.808007530751 0.893126422581 281.034464571
D 0.966368423314 - - - - 0.939361267847 0.981583013669 300""",
    "nll": """
A 0.311617795989 0.000308347518769 0.000340155832647 0.0013470767322 3.2740445436 0.2560380947 0.379262511272
B 0.323877815711 0.000574878232511 0.0003085281964 0.00122182574781 3.2740445436 0.249702042947 0.420088030804
C 0.590214629812 0.00359654035849 0.000846351151212 0.00359654035849 5 0.502114195235 0.693773075029
D 0.422953634713 - - - - 0.282124959371 0.634079939316""",
}  # fmt: skip
# D, V_image, V_seed, V_inter, df, p, Holm, low, high, delta
PAIRS = {
    "accuracy": """
A-B 0.00444444444444 8.04492340724e-05 0.000128717757453 3.94235930468e-05 9.43153592031 0.765288273122 0.953415531195 -0.0280454736689 0.0369343625578 0.0687102420289
A-C 0.121777777778 0.000251058425203 0.000196427313007 4.21422849829e-05 25.8562715864 4.71611594179e-06 2.82966956507e-05 0.078283631574 0.165271923982 0.0820609890644
A-D 0.0144444444444 0.00013927494942 5.64050164625e-05 1.7275692638e-05 16.6876145619 0.31652990771 0.949589723129 -0.0151109908156 0.0439998797045 0.0577388681701
B-C 0.117333333333 0.000258081010777 0.000212335037535 4.70144927536e-05 14 9.19757684504e-05 0.000367903073801 0.0708148903434 0.163851776323 0.0899375191744
B-D 0.01 0.000111148272018 7.23127409906e-05 2.21479004088e-05 10.373603187 0.476707765598 0.953415531195 -0.0200329634628 0.0400329634628 0.0624438889668
C-D -0.107333333333 0.000281202526942 0.000140022296544 2.48665923449e-05 28.013879871 1.47820317069e-05 7.39101585346e-05 -0.149373416435 -0.0652932502321 0.0789379327941""",
    "macro_f1": """
A-C 0.122198866748 0.000242346738417 0.000198869922975 4.15240884091e-05 25.0280057356 4.55671468708e-06 2.73402881225e-05 0.078940388524 0.165457344973 0.0817852973151
C-D -0.110659410192 0.000265547723869 0.000141703924882 2.45812929874e-05 26.5114691914 8.84376058453e-06 4.42188029226e-05 -0.152102059975 -0.0692167604097 0.0780699428001""",
    "nll": """
A-C -0.278596833823 0.00136378231046 0.000885678141306 0.000282655507791 27.335439922 2.8148254886e-06 1.68889529316e-05 -0.3758561845 -0.181337483145 0.182882600847
C-D 0.167260995099 0.0051024345432 0.000550037841456 0.000169270230242 9.29658790997 0.0522371600819 0.208948640328 -0.00199108189237 0.33651307209 0.358918581831""",
}  # fmt: skip
TWO_ALONE = "0.00444444444444 8.04492340724e-05 2.97453521848e-05 3.94235930468e-05 4.98804151161 0.689648165928 0.689648165928 -0.0225593506751 0.0314482395639 0.0444713110805"  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_the_worked_examples_of_single_settings(metric: Metric) -> None:
    table = noises(metric)
    for line in OWN[metric].split("\n")[1:]:
        name, *texts = line.split()
        noise = table[name]
        interval = own_interval(noise, metric)
        assert interval is not None
        found = [noise.mean, noise.variance, noise.floor, noise.guarded_variance, noise.df, *interval]
        found.append(effective_images(noise))
        for value, text in zip(found, texts, strict=False):
            if text != "-" and not (name == "D" and text == "300"):
                assert value == near(float(text)), (name, text)


def check_pair(pair: Difference, adjusted: float, num_pairs: int, line: str) -> None:
    found = [pair.difference, pair.variance_images, pair.variance_seeds, pair.variance_interplay]
    found += [pair.df or 0, pair.p, adjusted, pair.low, pair.high, detectable(pair, num_pairs) or 0]
    for value, text in zip(found, line.split(), strict=True):
        assert value == near(float(text)), text


@pytest.mark.parametrize("metric", METRICS)
def test_the_worked_examples_of_pairs(metric: Metric) -> None:
    pairs = pairs_of(metric)
    adjusted = dict(zip(pairs, holm([pair.p for pair in pairs.values()]), strict=True))
    for line in PAIRS[metric].split("\n")[1:]:
        name, rest = line.split(maxsplit=1)
        check_pair(pairs[name], adjusted[name], 6, rest)
    differing = [tuple(name.split("-")) for name in pairs if adjusted[name] < 0.05]
    best_first = sorted(RUNS, key=lambda name: noises(metric)[name].mean, reverse=metric != "nll")
    expected = {"A": "a", "B": "a", "C": "b", "D": "a"}
    if metric == "nll":
        expected["D"] = "ab"
    assert tie_letters(best_first, differing) == expected  # type: ignore[arg-type]


def test_the_worked_example_of_two_settings_alone() -> None:
    pair = pairs_of("accuracy", "AB")["A-B"]
    check_pair(pair, pair.p, 1, TWO_ALONE)


def test_the_worked_examples_of_one_run_and_of_classes() -> None:
    assert wilson(296 / 300, 300) == (near(0.966224469747), near(0.994803038261))
    a, d = RESULTS["A"][0], RESULTS["D"][0]
    right_a, right_d = a.guesses == a.labels, d.guesses == d.labels
    assert (int((right_a & ~right_d).sum()), int((~right_a & right_d).sum())) == (10, 3)
    assert mcnemar_mid_p(10, 3) == near(0.057373046875)
    sides = [recall_noises(LABELS, values(name, "accuracy"), CLASSES) for name in "AC"]
    p_values = {number: pair.p for number, pair in recall_differences(*sides).items()}
    expected = (
        "0.135868912802 0.124617316371 0.0917868705026 0.358749656076 0.162484431051 "
        "0.0640661200253 0.00106729984339 0.01842964993 0.0133459503314 0.00638713633794"
    )
    assert [p_values[number] for number in range(10)] == [near(float(text)) for text in expected.split()]
    corrected = (
        "0.169836141003 0.169836141003 0.152978117504 0.358749656076 0.180538256724 "
        "0.128132240051 0.0106729984339 0.0460741248249 0.0444865011047 0.0319356816897"
    )
    assert benjamini_hochberg(list(p_values.values())) == [near(float(text)) for text in corrected.split()]


# Against references.


@pytest.mark.parametrize("count", [1, 7, 400, 10_000])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.99, 1.0])
def test_wilson_is_statsmodels(count: int, share: float) -> None:
    right = round(share * count)
    low, high = proportion_confint(right, count, method="wilson")
    assert wilson(right / count, count) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))


@pytest.mark.parametrize(("b", "c"), [(0, 0), (0, 5), (5, 0), (3, 10), (40, 41), (7, 7), (300, 200)])
def test_mcnemar_is_the_exact_test_less_half_of_the_seen(b: int, c: int) -> None:
    """The mid-p counts what was seen by half: exact p minus P(X = k), on both sides."""
    exact = mcnemar([[0, b], [c, 0]], exact=True).pvalue
    expected = exact - float(binom.pmf(min(b, c), b + c, 0.5)) if b != c else 1.0
    assert mcnemar_mid_p(b, c) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count", [1, 2, 10, 45])
def test_corrections_are_statsmodels(count: int) -> None:
    random = np.random.default_rng(count)
    p_values = list(random.random(count) ** 3)
    p_values[-1] = p_values[0]  # ties
    for correct, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        assert correct(p_values) == pytest.approx(list(multipletests(p_values, method=method)[1]), rel=1e-9)


def test_runs_that_are_all_alike_give_scipys_paired_t() -> None:
    """Without seed noise what is left is the paired t-test over images; its df is the images' own."""
    random = np.random.default_rng(0)
    a, b = random.random(200), random.random(200)
    noises_alike = [noise_of(np.stack([values, values, values])) for values in (a, b)]
    pair = difference_of(*guard(noises_alike), "nll", table_df(noises_alike))
    reference = ttest_rel(a, b)
    assert pair.difference / math.sqrt(pair.variance) == pytest.approx(float(reference.statistic), rel=1e-9)
    assert pair.variance_seeds == 0


def test_two_values_that_differ_in_means_only_are_welchs_without_images() -> None:
    """Images that say nothing (each shifted alike): the seed noise is Welch's, with its degrees of freedom."""
    random = np.random.default_rng(1)
    a, b = (np.repeat(random.normal(size=(5, 1)), 100, axis=1) for _ in range(2))
    pair = difference_of(noise_of(a), noise_of(b), "nll", 8.0)
    reference = ttest_ind(a[:, 0], b[:, 0], equal_var=False)
    assert pair.p == pytest.approx(float(reference.pvalue), rel=1e-9)
    assert pair.df == pytest.approx(float(reference.df), rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_the_mean_of_the_values_is_the_score_of_scikit_learn(metric: Metric) -> None:
    """With images without an answer, and a class that is neither label nor guess."""
    random = np.random.default_rng(2)
    labels = random.integers(0, 4, 500)
    rows = random.dirichlet(np.ones(6), 500) * np.array([1, 1, 1, 1, 1, 0])
    rows[:25] = 0
    run = outcomes(np.arange(500), labels, rows)
    guesses = np.where(rows.max(axis=1) > 0, rows.argmax(axis=1), -1)
    expected = {
        "accuracy": accuracy_score(labels, guesses),
        "macro_f1": f1_score(labels, guesses, labels=range(6), average="macro", zero_division=0),
        "nll": -np.log(np.maximum(rows[np.arange(500), labels], 1e-6)).mean(),
    }[metric]
    assert values_of(metric, run).mean() == pytest.approx(expected, rel=1e-12)


def test_values_of_macro_f1_are_influences() -> None:
    """The value less the score is how the score moves when an image is counted a little more."""
    run = RESULTS["C"][0]
    values_now, score = values_of("macro_f1", run), values_of("macro_f1", run).mean()
    for image in (0, 7, 50, 123):
        more = np.concatenate([np.tile(np.arange(300), 1000), [image]])
        heavier = Outcomes(run.labels[more], run.guesses[more], run.nll[more], CLASSES)
        moved = (values_of("macro_f1", heavier).mean() - score) * len(more)
        assert moved == pytest.approx(values_now[image] - score, rel=1e-3, abs=1e-4)


# Metamorphic: what must not matter, and what must turn.


def test_stored_order_does_not_matter() -> None:
    rows = probabilities_of("C", 1)
    order = np.random.default_rng(3).permutation(300)
    shuffled = outcomes(order, LABELS[order], rows[order])
    for one, other in zip(shuffled, outcomes(IMAGES, LABELS, rows), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("metric", METRICS)
def test_a_pair_turned_round_is_its_mirror(metric: Metric) -> None:
    table = noises(metric)
    df = table_df(list(table.values()))
    pair, mirrored = (difference_of(table[a], table[b], metric, df) for a, b in (("A", "C"), ("C", "A")))
    assert (mirrored.difference, mirrored.low, mirrored.high) == (-pair.difference, -pair.high, -pair.low)
    assert (mirrored.p, mirrored.df) == (near(pair.p), near(pair.df or 0))


def test_more_seeds_and_more_images_make_narrower_intervals() -> None:
    random = np.random.default_rng(4)
    runs = [(random.random((10, 4_000)) < share[:, None]).astype(float)
            for share in (0.9 + 0.01 * random.normal(size=10), 0.8 + 0.01 * random.normal(size=10))]  # fmt: skip

    def width(seeds: int, images: int) -> float:
        one, other = (noise_of(values[:seeds, :images]) for values in runs)
        pair = difference_of(one, other, "accuracy", 2.0 * (seeds - 1))
        return pair.high - pair.low

    assert width(10, 4_000) < width(5, 4_000) < width(3, 4_000)
    assert width(10, 4_000) < width(10, 400)


# Degenerate cases.


def test_settings_that_no_image_tells_apart() -> None:
    values_alike = np.stack([values("A", "accuracy")[0]] * 3)
    noise = noise_of(values_alike)
    assert (noise.variance, noise.floor, noise.takes_part_in_guard) == (0, 0, False)
    pair = difference_of(noise, noise, "accuracy", 4.0)
    margin = 1 - 0.025 ** (1 / 300)
    assert (pair.difference, pair.p, pair.df, detectable(pair, 3)) == (0, 1, None, None)
    assert (pair.low, pair.high) == (pytest.approx(-margin), pytest.approx(margin))


def test_every_image_says_the_same() -> None:
    right, wrong = noise_of(np.ones((1, 5))), noise_of(np.zeros((1, 5)))
    pair = difference_of(right, wrong, "accuracy", 0.0)
    assert (pair.difference, pair.p, pair.high) == (1, pytest.approx(2 * 0.5**5), 1)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_perfect_score_has_a_closed_end(score: float) -> None:
    interval = own_interval(noise_of(np.full((3, 50), score)), "accuracy")
    assert interval == wilson(score, 50)
    assert interval[round(score)] == score


def test_an_nll_of_zero_has_no_interval() -> None:
    assert own_interval(noise_of(np.zeros((2, 50))), "nll") is None


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("runs", [1, 2, 3])
def test_the_smallest_tables_are_finite(runs: int, size: int) -> None:
    random = np.random.default_rng(10 * runs + size)
    for _ in range(50):
        sides = guard([noise_of((random.random((runs, size)) < 0.5).astype(float)) for _ in range(2)])
        pair = difference_of(*sides, "accuracy", table_df(sides))
        numbers = [pair.difference, pair.low, pair.high, pair.p, pair.variance_images, pair.variance_seeds]
        assert np.isfinite(numbers).all()
        assert -1 <= pair.low <= pair.difference <= pair.high <= 1
        assert 0 <= pair.p <= 1
        assert own_interval(sides[0], "accuracy") is not None


def test_a_broken_run_widens_its_own_setting_alone() -> None:
    random = np.random.default_rng(5)
    settings = [(random.random((3, 1_000)) < 0.95).astype(float) for _ in range(5)]
    healthy = guard([noise_of(values) for values in settings])
    settings[0][2] = random.random(1_000) < 0.1
    broken = guard([noise_of(values) for values in settings])
    assert broken[0].guarded_variance > 100 * healthy[0].guarded_variance
    for before, after in zip(healthy[1:], broken[1:], strict=True):
        assert after.guarded_variance < 4 * max(before.guarded_variance, before.floor)


# Letters.


@pytest.mark.parametrize(
    ("differing", "expected"),
    [
        ([], {"w": "a", "x": "a", "y": "a", "z": "a"}),
        ([("w", "z")], {"w": "a", "x": "ab", "y": "ab", "z": "b"}),
        ([("w", "y"), ("w", "z"), ("x", "z")], {"w": "a", "x": "ab", "y": "bc", "z": "c"}),
        (list(itertools.combinations("wxyz", 2)), {"w": "a", "x": "b", "y": "c", "z": "d"}),
        ([("x", "w"), ("x", "y"), ("x", "z")], {"w": "a", "x": "b", "y": "a", "z": "a"}),
    ],
)
def test_letters(differing: list[tuple[str, str]], expected: dict[str, str]) -> None:
    assert tie_letters("wxyz", differing) == expected


def test_a_letter_is_shared_exactly_by_the_tied() -> None:
    random = np.random.default_rng(6)
    for _ in range(300):
        names = [str(number) for number in range(int(random.integers(2, 9)))]
        pairs = list(itertools.combinations(names, 2))
        differing = {pair for pair in pairs if random.random() < 0.4}
        letters = tie_letters(names, differing)
        for pair in pairs:
            shared = set(letters[pair[0]]) & set(letters[pair[1]])
            assert bool(shared) == (pair not in differing)
