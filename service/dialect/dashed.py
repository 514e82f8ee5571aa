"""The model's own scheme with dashes in place of dots."""

from __future__ import annotations

import re

from service.dialect.malformed import Malformed

_FORM = re.compile(r"[0-9]{3}-[0-9]{7}-[0-9]{7}-[0-9]{6}-[0-9]{8}-[0-9]{9}")


def epc_code(code: str) -> str:
    """Return a code with dots. Raises Malformed."""
    if _FORM.fullmatch(code) is None:
        raise Malformed("it is not of the form header-company-product-lot-date-serial, of 3, 7, 7, 6, 8 and 9 digits")
    return code.replace("-", ".")
