"""Models from material: fitted on its training part, calibrated on its validation part, which judge any events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from service.detect import rules
from service.detect.ensemble import Members, combine, weigh
from service.events.columns import Events
from service.events.vocabulary import KINDS, MODES, OperatingPoint
from service.features.reference import Reference
from service.model.manifest import Ensemble, Points, Thresholds, at_point
from service.progress import Progress
from training.errors import DataError
from training.fitting.candidates import chosen
from training.fitting.checkpoint import Checkpoint
from training.fitting.config import TrainConfig
from training.fitting.loop import AfterEpoch, Curves, fit
from training.fitting.thinning import thinned
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.network import calibration
from training.network.calibration import fit_weights
from training.network.lstm import CalibratedModel, EpcLstm
from training.network.one_class_svm import OneClassSvms, fit_svms
from training.network.predict import predict, predict_served
from training.samples.labelled_data import Material, draw_from
from training.samples.samples import Draw, Samples, samples
from training.samples.splits import normal_events

AP, RECALL, FALSE_ALARMS = "macro_ap", "recall_at_1pct_fpr", "false_alarms"


class Cuts(NamedTuple):
    """From which probability on a detector flags."""

    thresholds: Thresholds  # those of the budget, or of the costs
    points: Points | None  # None: costs decide, at every point


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model and what it was checked on."""

    model: CalibratedModel
    thresholds: Thresholds
    points: Points | None  # None: costs decide, at every point
    check: list[Samples]  # validation, by mode
    curves: Curves
    share: float = 1.0  # of the fitted weights in an average with those of the start: `candidates`

    def causal_flags(self, point: OperatingPoint) -> NDArray[np.bool_]:
        """Return what is found [N, 5] in the causal validation samples at an operating point."""
        thresholds = at_point(point, self.points, self.thresholds).causal
        flags: NDArray[np.bool_] = predict_served(self.model, self.check[1]) >= np.array(thresholds, dtype=np.float32)
        return flags

    def judge(self, events: Events, reference: Reference, max_length: int) -> dict[str, NDArray[np.float32]]:
        """Return by mode the probabilities [N, 5] of the events, in their order, judged as one request."""
        unknown = np.zeros((len(events), len(KINDS)), dtype=np.float32)
        found = {}
        for causal, mode in enumerate(MODES):
            part = samples(events, unknown, reference, causal=bool(causal), limit=max_length)
            found[mode] = np.empty_like(unknown)
            found[mode][part.index] = predict_served(self.model, part)
        return found

    def measure(self, mode: str, labels: NDArray[np.float32], scores: NDArray[np.float32]) -> dict[str, float]:
        """Return the macro AP, the macro recall at 1 % FPR and the share of the normal events that are flagged."""
        macro = per_kind(labels, scores)[MACRO]
        flags = scores >= np.array(self.thresholds.of(mode), dtype=np.float32)
        alarms = float(flags[normal_events(labels)].any(axis=1).mean())
        return {AP: macro["ap"], RECALL: macro["recall_at_1pct_fpr"], FALSE_ALARMS: alarms}


def fit_model(  # noqa: PLR0913, PLR0917
    labelled: Material,
    config: TrainConfig,
    after_epoch: AfterEpoch,
    checkpoint: Checkpoint | None = None,
    draw: Draw | None = None,
    start: EpcLstm | None = None,
    *,
    keeps_last: bool = False,
) -> Fitted:
    """Fit on the training part and calibrate on the validation part; ``draw`` may give the passes (`draw_from`).

    ``keeps_last``: the last epoch is kept, where the validation part lacks what is to be learned, so that the first
    one, which learned least, would always be the best.

    ``start`` may give the weights to begin with; of material to tune on as much of them stays as the validation events
    whose labels somebody gave say: `candidates`.

    Raises:
        DataError: a part has no anomaly to learn from, or the checkpoint is of something else.
    """
    for part in ("train", "validation"):
        labels = labelled.take(part)[1]
        if normal_events(labels).all():
            raise DataError(f"no event of the {part} part ({len(labels)} events) is labelled anomalous")
    check = labelled.samples("validation", labelled.reference("train"))
    stop, share = check, 1.0
    if labelled.given is not None:  # the start agrees with what it said itself
        given = labelled.given[labelled.rows("validation")]
        stop = [part.take(np.flatnonzero(given[part.index])) for part in check] if given.any() else check
    passes = draw or draw_from(labelled)
    model, curves = fit(config, passes, stop, after_epoch, checkpoint, start, keeps_last=keeps_last)
    if start is not None and labelled.given is not None:
        model, share = chosen(start, model, stop, labelled.take("validation")[0].epc)
    if config.most_pieces is not None:
        model = thinned(model, config.most_pieces, passes, config.seed)
    calibrated, (thresholds, points) = _calibrate(model, check, config)
    return Fitted(calibrated, thresholds, points, check, curves, share)


def _calibrate(model: EpcLstm, check: list[Samples], config: TrainConfig) -> tuple[CalibratedModel, Cuts]:
    """Return the calibrated model and where it flags, both from the validation samples."""
    platt = [calibration.platt(predict(model, part), part.labels) for part in check]
    a, b = (torch.tensor([pair[index] for pair in platt]) for index in (0, 1))
    calibrated = CalibratedModel(model, a, b).eval()
    return calibrated, cuts_of([predict_served(calibrated, part) for part in check], check, config)


def fit_svm(labelled: Material, check: list[Samples], config: TrainConfig) -> tuple[OneClassSvms, Cuts]:
    """Fit the one-class SVMs on one pass over the training part; return them and where they flag.

    Both are calibrated on ``check``, validation samples by mode. What is normal in other networks is not here.
    """
    svm = fit_svms(draw_from(replace(labelled, networks=()))(np.random.default_rng(config.seed)), check, config.seed)
    return svm, cuts_of([predict_served(svm, part) for part in check], check, config)


def fit_ensemble(model: CalibratedModel, svm: OneClassSvms, check: list[Samples], config: TrainConfig) -> Ensemble:
    """Return how the scores of both models are combined, and the thresholds of that."""
    members = [members_of(model, svm, part) for part in check]
    weights = fit_weights(members, [part.labels for part in check])
    bare = Ensemble(**weights, thresholds=Thresholds(**dict.fromkeys(MODES, [0.5] * len(KINDS))))
    weighed = [weigh(each, bare, mode) for mode, each in enumerate(members)]
    combination = bare.model_copy(update={"thresholds": thresholds_of(weighed, check, config)})
    combined = [combine(each, combination, mode) for mode, each in enumerate(members)]
    points = points_of(combined, check, combination.thresholds, config)
    return combination.model_copy(update={"operating_points": points})


def members_of(model: CalibratedModel, svm: OneClassSvms, part: Samples) -> Members:
    """Return what the members of an ensemble say of samples."""
    return Members(predict_served(model, part), predict_served(svm, part), rules.opinion(part.features), part.spared)


def cuts_of(scores: list[NDArray[np.float32]], check: list[Samples], config: TrainConfig) -> Cuts:
    """Return where a detector of these scores [N, 5] by mode flags, by ``check``, the samples of the modes."""
    thresholds = thresholds_of(scores, check, config)
    return Cuts(thresholds, points_of(scores, check, thresholds, config))


def points_of(
    scores: list[NDArray[np.float32]], check: list[Samples], thresholds: Thresholds, config: TrainConfig
) -> Points | None:
    """Return the thresholds of each operating point, of which the sensitive one is ``thresholds``; None with costs."""
    if config.costs():
        return None
    by_mode = [
        calibration.points(found, part.labels, thresholds.of(mode))
        for mode, found, part in zip(MODES, scores, check, strict=True)
    ]
    return {
        point: Thresholds(**{mode: found[point] for mode, found in zip(MODES, by_mode, strict=True)})
        for point in OperatingPoint
    }


def thresholds_of(scores: list[NDArray[np.float32]], check: list[Samples], config: TrainConfig) -> Thresholds:
    """Return the thresholds that keep to the costs or to the false-positive budget of ``config``."""
    costs, budget = config.costs(), config.false_positive_budget
    by_mode = {
        mode: calibration.thresholds_of_costs(costs) if costs else calibration.thresholds(found, part.labels, budget)
        for mode, found, part in zip(MODES, scores, check, strict=True)
    }
    return Thresholds(**by_mode)


def telling(progress: Progress, epochs: int, begin: float = 0.0, end: float = 1.0, what: str = "") -> AfterEpoch:
    """Return what reports each of ``epochs`` to ``progress``, as the part ``begin`` .. ``end`` of the whole."""

    def tell(curves: Curves) -> None:
        last = curves[-1]
        number, (whole, causal) = int(last["epoch"]), (last[mode] for mode in MODES)
        text = (
            f"{what}epoch {number}/{epochs}: loss {last['loss']:.4f}, validation AP {whole:.3f} and {causal:.3f} causal"
        )
        progress(text, begin + (end - begin) * number / epochs)

    return tell
