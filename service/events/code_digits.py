"""The digits of EPC codes. Compiled; see `service.features`."""

from __future__ import annotations

import cython

LENGTH = cython.declare(cython.int, 45)
COLUMNS = cython.declare(cython.int, 6)  # header, company, product, lot, serial, date
DATE = cython.declare(cython.int, 5)
DAY = cython.declare(cython.int, 6)


def take_apart(codes, numbers: cython.longlong[:, ::1], flags: cython.uchar[:, ::1]) -> cython.Py_ssize_t:
    """Read the numbers of U ``codes``, any texts, and return how many of them are malformed.

    Args:
        codes: a sequence of texts.
        numbers: [7, U] what is between the dots, the date last, -1 of a malformed code; days since 1970-01-01 of the
            date part, 0 if it is none.
        flags: [2, U] whether each is well formed, and has a date of the calendar.
    """
    u: cython.Py_ssize_t
    malformed: cython.Py_ssize_t = 0
    for u in range(numbers.shape[1]):
        numbers[DAY, u] = 0
        flags[1, u] = False
        flags[0, u] = read(codes[u], u, numbers)
        if flags[0, u]:
            read_date(numbers[DATE, u], u, numbers[DAY], flags[1])
        else:
            forget(u, numbers)
            malformed += 1
    return malformed


def read_dates(
    dates: cython.const[cython.longlong][::1], day: cython.longlong[::1], date_valid: cython.uchar[::1]
) -> None:
    """Read the days [U] of numbers YYYYMMDD [U], see `take_apart`; ``day`` and ``date_valid`` are 0 before."""
    u: cython.Py_ssize_t
    for u in range(dates.shape[0]):
        read_date(dates[u], u, day, date_valid)


@cython.cfunc
def read(code: str, u: cython.Py_ssize_t, numbers: cython.longlong[:, ::1]) -> cython.bint:
    """Read the numbers of one code, and return whether there are digits and dots in the right places."""
    at: cython.Py_ssize_t
    part: cython.int = 0
    number: cython.longlong = 0
    if len(code) != LENGTH:
        return False
    for at in range(LENGTH):
        letter: cython.Py_UCS4 = code[at]
        if at == 3 or at == 11 or at == 19 or at == 26 or at == 35:  # noqa: PLR1714 - compiled, a set is not
            if letter != ".":
                return False
            numbers[part if part < 4 else DATE, u] = number
            part += 1
            number = 0
        elif "0" <= letter <= "9":
            number = 10 * number + ord(letter) - 48
        else:
            return False
    numbers[4, u] = number
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def forget(u: cython.Py_ssize_t, numbers: cython.longlong[:, ::1]) -> cython.void:
    """Make every part of a malformed code -1."""
    part: cython.int
    for part in range(COLUMNS):
        numbers[part, u] = -1


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
