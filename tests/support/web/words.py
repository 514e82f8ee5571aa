"""What the pages say: the texts of templates, of `templating` and of refused files, for their catalogues.

python -m tests.support.web.words     # after an edit of a .po file: writes the .mo beside it
"""

from __future__ import annotations

from pathlib import Path

from jinja2.ext import extract_from_ast

from service.explain.causes import CAUSES
from service.explain.languages import LANGUAGES
from service.rawfiles.refused import FileFault
from service.web.files.refused import Refused
from service.web.pages.templating import HERE, KIND_NAMES, STATE_NAMES, environment
from service.web.pages.texts import DOMAIN, LOCALE
from tests.service.explain.catalogues import compiled, read_po


def messages() -> set[tuple[str, ...]]:
    """Return (message,) or (message, its plural) of all that pages say."""
    tables = (KIND_NAMES.values(), STATE_NAMES.values(), (cause.meaning for cause in CAUSES), FileFault, Refused)
    found = {(str(text),) for table in tables for text in table}
    for path in sorted((HERE / "templates").glob("*.html")):
        tree = environment(LANGUAGES[0]).parse(path.read_text(encoding="utf-8"))
        for _, function, said in extract_from_ast(tree):
            if said is None:  # no text in the template: of KIND_NAMES or CAUSES
                continue
            texts = (said,) if isinstance(said, str) else tuple(text for text in said if text is not None)
            found.add(texts[:2] if "ngettext" in function else texts[:1])
    return found


def po_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"


if __name__ == "__main__":
    for code in LANGUAGES[1:]:
        po_path(code).with_suffix(".mo").write_bytes(compiled(read_po(po_path(code).read_text(encoding="utf-8"))))
