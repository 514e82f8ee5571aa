"""What a trained model says of samples, in batches of similar lengths; by itself, or as it is served."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from service.detect.detector import raise_certain
from service.errors import UnusableFeatures
from service.model.sequences import pad
from training.network.lstm import CalibratedModel, EpcLstm
from training.network.one_class_svm import OneClassSvms
from training.samples.samples import Samples

_PREDICT_BATCH = 1024


@torch.inference_mode()
def predict(model: CalibratedModel | EpcLstm | OneClassSvms, part: Samples) -> NDArray[np.float32]:
    """Return what ``model`` says of each row [N, 5] of ``part``: probabilities, or logits of a bare EpcLstm.

    Raises:
        UnusableFeatures: a feature is not finite; a model would make some number of it.
    """
    if not np.isfinite(part.features).all():
        raise UnusableFeatures("a feature of the samples is not finite: they cannot be judged")
    model.eval()
    device = next(model.buffers()).device
    windows = part.to_judge
    answers = np.zeros((len(windows.start), int(windows.length.max()), part.labels.shape[1]), dtype=np.float32)
    by_length = np.argsort(windows.length, kind="stable")
    for begin in range(0, len(by_length), _PREDICT_BATCH):
        rows = by_length[begin : begin + _PREDICT_BATCH]
        longest = int(windows.length[rows].max())
        batch = pad(part.features, windows.start[rows], windows.length[rows], longest)
        lengths = torch.from_numpy(windows.length[rows, None].astype(np.int64))
        answers[rows, :longest] = model(torch.from_numpy(batch).to(device), lengths.to(device)).float().cpu().numpy()
    return answers[windows.window_of, windows.offset_of]


def predict_served(model: CalibratedModel | OneClassSvms, part: Samples) -> NDArray[np.float32]:
    """Return the probabilities [N, 5] of ``part`` as a gateway gives them: `predict`, and what is certain is raised.

    What is measured, and thresholds and weights that are found, are of these; calibration and the golden probe, which
    are inside the graph or of it, are of `predict`.

    Raises:
        UnusableFeatures: a feature is not finite.
    """
    scores = predict(model, part)
    raise_certain(part.features, scores)
    return scores
