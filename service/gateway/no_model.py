"""A gateway without a usable model: the rules judge, by what tables there are, and every answer says so."""

from __future__ import annotations

import numpy as np

from service.detect.detector import Detector, Judgement
from service.detect.fallback import RulesAsFallback
from service.detect.names import DetectorName
from service.detect.rules_detector import RulesDetector
from service.detect.unknown_codes import SparesUnknown, UnknownCodes
from service.errors import ModelRepositoryError, NoUsableModel
from service.events.vocabulary import TYPES
from service.explain.explainer import Explainer
from service.features.case import View
from service.features.reference import LANE_QUANTILES, Counts, Reference
from service.features.table import feature_spec_hash
from service.gateway.build import build_analyzer, read_reference
from service.gateway.wiring import Shared, Wiring
from service.model.manifest import MANIFEST_FILE, MODEL_NAME
from service.model.repository import read_manifest, versions
from service.model.signing import load_trust
from service.runtime.deadline import Deadline
from service.settings import Settings


class _NoModel:
    """A detector in the place of one that is to come."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def judge(self, view: View, deadline: Deadline) -> Judgement:  # noqa: ARG002 - as the contract has it
        """Raise NoUsableModel."""
        raise NoUsableModel(self._reason)


def build_without_model(settings: Settings, shared: Shared, problem: str) -> Wiring:
    """Return what judges by rules alone until a usable model comes; ``problem`` says why, to the operator.

    The tables are those of the newest version whose manifest can be read, and trusted where signatures are asked for:
    a damaged graph does not make its tables wrong. Without any, rules say only what an event shows by itself.
    """
    found = _tables(settings)
    reference, reason = found or no_tables(), "there is no usable model yet"
    if found is None:
        reason += ", and no tables of what is normal here"
    rules = RulesDetector(reference, tables=found is not None)
    unknown = UnknownCodes(reference, spared=settings.unknown_codes == "spared")

    def backed(detector: Detector) -> Detector:
        return detector if found is None else SparesUnknown(detector, unknown)

    stand_in = RulesAsFallback(_NoModel(reason), rules)
    detectors = {name: backed(rules if name is DetectorName.RULES else stand_in) for name in DetectorName}
    memory = shared.memory(reference)
    analyzer = build_analyzer(settings, detectors, reference, memory)
    return Wiring(
        None, analyzer, unknown, Explainer(reference, {}), reference, shared.store, memory=memory, problem=problem
    )


def no_tables() -> Reference:
    """Return reference tables that know nothing."""
    none, empty, quantiles = Counts(np.zeros(0, dtype=np.int64), np.zeros(0)), np.zeros(0), len(LANE_QUANTILES)
    return Reference(
        location_id=np.zeros(0, dtype=np.int64),
        latitude=empty,
        longitude=empty,
        scan=none,
        type_pair=np.zeros((TYPES + 1, TYPES)),
        type_pair_gap=np.zeros((TYPES + 1, TYPES, quantiles)),
        lane=none,
        lane_gap=np.zeros((0, quantiles)),
        route=none,
        route_hours=np.zeros((0, 4)),
        product_scan=none,
        product_type=none,
        header=none,
        company=none,
        product=none,
        company_product=none,
        lot=none,
        product_lot=none,
        lot_day=np.zeros((0, 2)),
        lot_serial=np.zeros((0, 2)),
    )


def _tables(settings: Settings) -> Reference | None:
    trust = load_trust(settings.trust) if settings.trust else None
    for version in reversed(versions(settings.repository)):
        where = f"{MODEL_NAME}/{version} in {settings.repository}"
        try:
            manifest = read_manifest(settings.repository / MODEL_NAME / str(version) / MANIFEST_FILE, where, trust)
            if manifest.feature_spec_hash == feature_spec_hash():
                return read_reference(manifest, where)
        except ModelRepositoryError:
            continue
    return None
