"""What is said of each cause? The texts are English; `locale` has them in other languages.

- of_codes: of forged codes
- of_foreign_codes: of forged codes of other schemes
- of_clones: of cloned codes
- of_places: of wrong places
- of_order: of a wrong order
- of_times: of wrong times

A sentence is a function of the facts, the words of a language and the row of an event. It says values as they are and
what is normal, and leaves out what is not known. Texts stand in it as they are: a test finds them in the source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from service.explain.facts import Facts
from service.explain.words import Words

Sentence = Callable[[Facts, Words, int], str]

Sentences = Mapping[str, Sentence]
"""By the code of the cause."""
