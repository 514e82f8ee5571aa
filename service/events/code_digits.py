"""The digits of EPC codes. Compiled; see `service.features`."""

from __future__ import annotations

import cython

LENGTH = cython.declare(cython.int, 45)
DIGIT_0 = cython.declare(cython.int, 48)
DOT = cython.declare(cython.int, 46)
COLUMNS = cython.declare(cython.int, 6)  # header, company, product, lot, date, serial


def take_apart(
    letters: cython.const[cython.uchar][::1],
    well_formed: cython.uchar[::1],
    parts: cython.longlong[:, ::1],
    day: cython.longlong[::1],
    date_valid: cython.uchar[::1],
) -> None:
    """Read the numbers of U codes.

    Args:
        letters: those of the codes of the right length, one after the other.
        well_formed: [U] whether a code is one of them; afterwards whether it is well formed, too.
        parts: [6, U] what is between the dots, -1 of a malformed code.
        day: [U] days since 1970-01-01 of the date part, 0 if it is none.
        date_valid: [U] whether it is a date of the calendar.
    """
    u: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    for u in range(well_formed.shape[0]):
        if well_formed[u]:
            well_formed[u] = read(letters, at, u, parts)
            at += LENGTH
        if well_formed[u]:
            read_date(parts[4, u], u, day, date_valid)
        else:
            forget(u, parts)


def read_dates(
    dates: cython.const[cython.longlong][::1], day: cython.longlong[::1], date_valid: cython.uchar[::1]
) -> None:
    """Read the days [U] of numbers YYYYMMDD [U], see `take_apart`; ``day`` and ``date_valid`` are 0 before."""
    u: cython.Py_ssize_t
    for u in range(dates.shape[0]):
        read_date(dates[u], u, day, date_valid)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read(
    letters: cython.const[cython.uchar][::1],
    begin: cython.Py_ssize_t,
    u: cython.Py_ssize_t,
    parts: cython.longlong[:, ::1],
) -> cython.bint:
    """Read the numbers of one code, and return whether there are digits and dots in the right places."""
    at: cython.Py_ssize_t
    part: cython.int = 0
    number: cython.longlong = 0
    for at in range(LENGTH):
        letter: cython.int = letters[begin + at]
        if at == 3 or at == 11 or at == 19 or at == 26 or at == 35:  # noqa: PLR1714 - compiled, a set is not
            if letter != DOT:
                return False
            parts[part, u] = number
            part += 1
            number = 0
        elif DIGIT_0 <= letter <= DIGIT_0 + 9:
            number = 10 * number + letter - DIGIT_0
        else:
            return False
    parts[part, u] = number
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def forget(u: cython.Py_ssize_t, parts: cython.longlong[:, ::1]) -> cython.void:
    """Make every part of a malformed code -1."""
    part: cython.int
    for part in range(COLUMNS):
        parts[part, u] = -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read_date(
    date: cython.longlong, u: cython.Py_ssize_t, day: cython.longlong[::1], date_valid: cython.uchar[::1]
) -> cython.void:
    """Read the day of a number YYYYMMDD, if the calendar has it."""
    year: cython.longlong = date // 10_000
    month: cython.longlong = date // 100 % 100
    of_month: cython.longlong = date % 100
    if year < 1 or month < 1 or month > 12 or of_month < 1:
        return
    first: cython.longlong = first_day(year, month)
    after: cython.longlong = first_day(year + month // 12, month % 12 + 1)
    if first + of_month <= after:
        date_valid[u] = True
        day[u] = first + of_month - 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def first_day(year: cython.longlong, month: cython.longlong) -> cython.longlong:
    """Return the days from 1970-01-01 to the first of a month of the Gregorian calendar.

    Years are counted from March on, so that a leap day is the last of its year, and months have 153 days in five.
    """
    if month <= 2:
        year -= 1
        month += 12
    whole: cython.longlong = 365 * year + year // 4 - year // 100 + year // 400
    return whole + (153 * (month - 3) + 2) // 5 - 719_468
