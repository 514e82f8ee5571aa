# The columns that the compiled loops share; see columns.py.

from service.features.row cimport Row
from service.features.tables cimport Tables

cdef class Columns:
    cdef Row* rows
    cdef Row* of_code
    cdef object written
    cdef Py_ssize_t codes
    cdef Tables tables
    cdef bint causal, is_small
    cdef int[::1] epc, kind, place, spot, spot_from
    cdef long long[::1] event_id, time_us, local_us, leg_us, leg_kind, known_us, way
    cdef signed char[::1] step, level
    cdef Py_ssize_t[::1] position, members
    cdef unsigned char[::1] well_formed, date_valid
    cdef long long[::1] header, company, product, lot, day, serial
    cdef int[:, ::1] item_group, group
    cdef double[::1] log_gap
    cdef long long[::1] serials
    cdef int[::1] serial_slots

cdef double log_count(double count) noexcept nogil
cdef double share(double part, double whole) noexcept nogil
cdef long long floor_of(long long time_us, long long unit_us) noexcept nogil
cdef bint same_instant(long long time_us, long long other_us) noexcept nogil
