"""The one-class SVMs are those of the textbook, by kind and mode, and know of anomalies nothing but what normal is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from sklearn.svm import OneClassSVM

from service.events.vocabulary import KINDS
from service.features import table as features
from service.model.sequences import Windows
from training.network import one_class_svm as svm
from training.network.calibration import platt
from training.network.one_class_svm import BESIDE, OneClassSvms, columns_of, fit_svms
from training.network.predict import predict
from training.samples.samples import Samples

F = len(features.NAMES)
CAUSAL = features.INDEX["causal"]
GAP, SCANS = features.INDEX["gap_prev"], features.INDEX["scan_log"]
JUMP, LOC = KINDS.index("jump"), KINDS.index("locErr")


def labelled(seed: int, *, causal: bool, count: int = 2_000) -> Samples:
    """Return single events of which a large gap is a jump, and a place with few scans a locErr."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(count, F)).astype(np.float32)
    table[:, CAUSAL] = causal
    labels = np.zeros((count, 5), dtype=np.float32)
    jump, misplaced = rng.random(count) < 0.04, rng.random(count) < 0.04
    table[jump, GAP] += 12
    table[misplaced, SCANS] -= 12
    labels[jump, JUMP], labels[misplaced, LOC] = 1, 1
    rows = np.arange(count)
    return Samples(table, labels, Windows(rows, np.ones(count, np.intp), rows, np.zeros(count, np.intp)), rows)


def both(seed: int) -> tuple[Samples, Samples]:
    return labelled(seed, causal=False), labelled(seed, causal=True)


@pytest.fixture(scope="module")
def fitted() -> OneClassSvms:
    return fit_svms(both(0), both(1), seed=3)


def test_each_kind_is_judged_by_its_own_features(fitted: OneClassSvms) -> None:
    for part in both(2):
        scores = predict(fitted, part)
        for kind, other in ((JUMP, LOC), (LOC, JUMP)):
            assert average_precision_score(part.labels[:, kind], scores[:, kind]) > 0.9
            assert average_precision_score(part.labels[:, other], scores[:, kind]) < 0.1


def test_logits_are_the_decision_of_the_textbook(fitted: OneClassSvms) -> None:
    for mode, part in enumerate(both(2)):
        columns = columns_of("jump")
        mean, scale = fitted.mean[mode].double().numpy(), fitted.scale[mode].double().numpy()
        learned = both(0)[mode]
        normal = learned.features[learned.labels.max(axis=1) < 0.5]  # few enough that all were drawn
        most = fitted.ceiling[mode].double().numpy()
        standard = (np.clip((table - mean) * scale, -8, most)[:, columns] for table in (normal, part.features))
        train, test = standard
        other = OneClassSVM(gamma=1 / len(columns), nu=svm._OUTLIERS).fit(train)
        decision, rho = other.decision_function(test), -other.intercept_[0]
        logits = fitted.logits(part.features, causal=bool(mode))[:, JUMP]
        np.testing.assert_allclose(logits, np.log(rho) - np.log(np.maximum(decision + rho, 1e-37)), atol=2e-3)
        np.testing.assert_array_equal(logits[np.abs(decision) > 1e-4] > 0, decision[np.abs(decision) > 1e-4] < 0)


def test_anomalies_teach_nothing(fitted: OneClassSvms) -> None:
    drawn = both(0)
    for part in drawn:
        part.features[part.labels.max(axis=1) > 0, :CAUSAL] *= -3
    again = fit_svms(drawn, both(1), seed=3)
    part = labelled(2, causal=False)
    np.testing.assert_array_equal(predict(again, part), predict(fitted, part))


def test_probabilities_are_calibrated_by_mode_and_kind(fitted: OneClassSvms) -> None:
    for mode, part in enumerate(both(1)):
        a, b = platt(fitted.logits(part.features, causal=bool(mode)), part.labels)
        np.testing.assert_allclose(fitted.a[mode], a, rtol=1e-5)
        np.testing.assert_allclose(fitted.b[mode], b, rtol=1e-5)


def test_an_event_is_judged_by_itself_and_the_padding_says_nothing(fitted: OneClassSvms) -> None:
    table = torch.from_numpy(labelled(2, causal=True).features[:12])
    alone = fitted(table[:, None], torch.ones(12, 1, dtype=torch.int64))[:, 0]
    together = table.reshape(3, 4, F).clone()
    lengths = torch.tensor([[4], [2], [1]])
    together[1, 2:] = 1e6
    found = fitted(together, lengths)
    for row, length in enumerate(lengths.flatten().tolist()):
        torch.testing.assert_close(found[row, :length], alone.reshape(3, 4, 5)[row, :length])
        assert (found[row, length:] == 0).all()


def test_the_mode_chooses_its_own_machines() -> None:
    slow = labelled(0, causal=True)
    slow.features[:, GAP] += 12  # what is normal in this mode is an outlier in the other
    model = fit_svms((labelled(0, causal=False), slow), both(1), seed=3)
    logits = [model.logits(slow.features, causal=causal)[:, JUMP] for causal in (False, True)]
    normal = slow.labels.max(axis=1) < 0.5
    assert (logits[0][normal] > 0).mean() > 0.95
    assert (logits[1][normal] > 0).mean() < 0.1


def test_what_is_far_from_everything_is_an_outlier_with_a_score(fitted: OneClassSvms) -> None:
    part = labelled(2, causal=False, count=4)
    part.features[:, :CAUSAL] = [[1e30], [-1e30], [1e3], [-1e3]]
    scores = predict(fitted, part)
    assert np.isfinite(scores).all()
    assert (scores[:, [JUMP, LOC]] > 0.9).all()


@pytest.mark.parametrize("kind", KINDS)
def test_features_of_a_kind_are_those_of_the_table_but_the_name_of_the_event_and_its_neighbours(kind: str) -> None:
    found = {features.NAMES[column] for column in columns_of(kind)}
    serves = {name for name, of, _ in features.FEATURES if of == kind}
    assert found <= serves
    assert {name[:5] for name in serves - found - BESIDE} <= {"type_"}
    assert not found & BESIDE
    assert {"type_step", "type_logp"} & serves <= found


def test_a_constant_feature_that_changes_is_an_outlier() -> None:
    drawn = both(0)
    for part in drawn:
        part.features[:, GAP] = 1.0
    model = fit_svms(drawn, both(1), seed=3)
    usual = labelled(2, causal=False, count=200).features
    usual[:, GAP] = 1.0
    odd = usual.copy()
    odd[:, GAP] = 0.0
    assert (model.logits(odd, causal=False) > model.logits(usual, causal=False))[:, JUMP].all()


@pytest.mark.parametrize("causal", [False, True])
def test_what_is_better_known_than_the_training_is_no_outlier(fitted: OneClassSvms, *, causal: bool) -> None:
    """Counts of issued codes grow with the world: those of another one made every event of it a forged one."""
    usual = labelled(2, causal=causal, count=200).features
    known, unknown = usual.copy(), usual.copy()
    for name in ("code_header_log", "code_company_log", "code_lot_log", "lot_mates", "scan_log"):
        known[:, features.INDEX[name]] = 5
        unknown[:, features.INDEX[name]] = -5
    known, usual, unknown = (fitted.logits(table, causal=causal).mean(axis=0) for table in (known, usual, unknown))
    for kind in (KINDS.index("epcFake"), LOC):
        assert known[kind] < usual[kind] < unknown[kind]


def test_it_is_kept_in_a_file_and_the_same_seed_gives_the_same(fitted: OneClassSvms, tmp_path: Path) -> None:
    torch.save(fitted.state(), tmp_path / "svm.pt")
    loaded = OneClassSvms(**torch.load(tmp_path / "svm.pt", weights_only=True))
    part = labelled(2, causal=True)
    expected = predict(fitted, part)
    for other in (loaded, fit_svms(both(0), both(1), seed=3)):
        np.testing.assert_array_equal(predict(other, part), expected)
