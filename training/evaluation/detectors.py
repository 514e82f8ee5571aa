"""The names that detectors have in records, tables and plots."""

from __future__ import annotations

MODEL, SVM, ENSEMBLE, RULES = "model", "one-class svm", "ensemble", "rules"

LIGHTGBM, FOREST = "lightgbm", "isolation forest"
"""The baselines: what the model has to beat."""

TRUTH = "truth"
"""In the place of a detector: what there is to be found."""
