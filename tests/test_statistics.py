"""The statistics of `compare`: worked examples, references, degenerate cases."""

import itertools

import numpy as np
import pytest

from bakeoff.compare.statistics.classical import benjamini_hochberg, holm, mcnemar_mid_p, wilson
from bakeoff.compare.statistics.letters import tie_letters
from bakeoff.compare.statistics.noise import Noise, effective_images, guard, noise_of, own_interval
from bakeoff.compare.statistics.pairs import (
    Difference,
    detectable,
    difference_of,
    recall_differences,
    recall_noises,
    table_df,
)
from bakeoff.compare.statistics.values import METRICS, Metric, outcomes, values_of

CLASSES = 10
IMAGES = np.arange(300)
LABELS = (7 * IMAGES + IMAGES // 10) % CLASSES
RUNS = {"A": (0, 3, 14), "B": (1, 2, 16), "C": (2, 5, 34), "D": (3, 1, 22)}  # setting, runs, level


def probabilities_of(setting: str, run: int) -> np.ndarray:
    """Whole-number recipe of the worked examples, float64 [300, 10]."""
    s, _, level = RUNS[setting]
    i, r = IMAGES, run
    hard, own = (i**2 + 31 * i) % 97, (i * (2 * s + 3) + 5 * s) % 53
    luck = (i * (11 + 2 * r) + 17 * r + 29 * s) % 61
    right = hard + own // 2 + luck // 3 >= level + 2 * ((r * (s + 1)) % 4)
    p_true = np.where(right, (60 + 3 * ((i + r) % 13)) / 100, (3 + 2 * ((i + 2 * r) % 7)) / 100)
    other = np.where(right, (LABELS + 1) % CLASSES, (LABELS + 1 + i % 3) % CLASSES)
    rows = np.zeros((300, CLASSES))
    rows[i, LABELS] = p_true
    rows[i, other] = 1 - p_true
    if setting == "D":
        rows[[0, 150]] = 0
    return rows


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
