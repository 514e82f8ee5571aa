"""Why is it a finding? One sentence, with the values as they are and what is normal, in the caller's language."""

from __future__ import annotations

from service.explain.causes import Cause
from service.explain.facts import Facts
from service.explain.mates import Mates
from service.explain.sentences import Sentences, of_clones, of_codes, of_order, of_places, of_times
from service.explain.sentences.of_foreign_codes import FOREIGN_SENTENCES
from service.explain.words import Words
from service.features.case import Case
from service.features.reference import Reference

_DAY_US = 86_400_000_000

SENTENCES: Sentences = {
    **of_codes.SENTENCES,
    **of_clones.SENTENCES,
    **of_places.SENTENCES,
    **of_order.SENTENCES,
    **of_times.SENTENCES,
}
"""The sentence of each cause, by its code."""


class Reasons:
    """Says why events of one case are findings."""

    def __init__(self, case: Case, reference: Reference, language: str) -> None:
        """``language`` is one of `languages.LANGUAGES`, see `languages.language_of`."""
        self._facts, self._words = Facts(case, reference), Words(language)

    @property
    def causal(self) -> bool:
        """Return whether the case was judged by the past alone."""
        return self._facts.causal

    @property
    def mates(self) -> Mates:
        """Return the events of the case by lot."""
        return self._facts.mates

    def sentence(self, row: int, cause: Cause, shown: int) -> str:
        """Return why the event at ``row`` of the journeys is a finding; that at ``shown`` is the one with the cause.

        The two are what `causes.FirstCauses` found. Where they differ, the sentence says which event it speaks of.
        """
        own = FOREIGN_SENTENCES.get(cause.code) if self._facts.is_foreign(shown) else None
        said = (own or SENTENCES[cause.code])(self._facts, self._words, shown)
        if shown == row:
            return said
        event = self._facts.scan(shown).event_id
        return self._words.say("Goes on from event {event}: {reason}", event=event, reason=said)

    def together(self, row: int, items: int, reason: str) -> str:
        """Return what happened to ``items`` of one lot, of which the event at ``row`` is the first, with its reason."""
        if items == 1:
            return reason
        scan, words = self._facts.scan(row), self._words
        told = {
            "items": words.number(items),
            "place": scan.location_id,
            "day": words.day(scan.local_us // _DAY_US),
            "reason": reason,
        }
        if self._facts.is_foreign(row):  # the number of its lot is ours, nobody else knows it
            message = "{items} items of one lot at place {place} from {day} on, together. The first of them: {reason}"
            return words.say(message, **told)
        message = "{items} items of lot {lot} at place {place} from {day} on, together. The first of them: {reason}"
        return words.say(message, lot=f"{self._facts.code(row).lot:06d}", **told)
