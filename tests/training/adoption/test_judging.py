"""Counts beyond what the weights ever saw are capped, and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from service.features.reference import Counts, Reference
from service.features.table import feature_spec_hash
from service.model.repository import load
from tests.support.gateway import ROOT
from training.adoption.judging import within
from training.runs.weights import weights_of_model

MODEL = load(ROOT / "model_repository", feature_spec_hash=feature_spec_hash())


def test_a_table_of_many_more_codes_is_capped_where_the_weights_know_it_well() -> None:
    weights, tables = weights_of_model(MODEL), Reference.from_json(MODEL.manifest.reference)
    large = replace(tables, company=Counts(tables.company.key, 1e6 + tables.company.count))
    found = within(large, weights)
    cuts = weights.histograms["retrospective"]["histograms"]["code_company_log"]["cuts"]
    assert 1 < np.log1p(found.company.count.max()) <= cuts[-1]
    assert found.company.key is large.company.key
    assert found.lane is large.lane
    small = replace(tables, company=Counts(tables.company.key, np.ones(len(tables.company.key))))
    assert within(small, weights).company is small.company
    assert within(large, replace(weights, histograms={})) is large
