"""The names of detectors: as callers ask for them, and as answers say who judged."""

from __future__ import annotations

from enum import StrEnum


class DetectorName(StrEnum):
    """What callers can ask for."""

    LSTM = "lstm"
    RULES = "rules"
    SVM = "svm"
    ENSEMBLE = "ensemble"


class Method(StrEnum):
    """What judged, as AnalyzeResponse.method has it."""

    LSTM = "lstm-deep-learning"
    RULES = "rule-based"
    SVM = "svm-one-class"
    ENSEMBLE = "ensemble"
    RULES_AS_FALLBACK = "rule-based-fallback"
