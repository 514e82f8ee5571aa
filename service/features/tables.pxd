# What the compiled loops may use of `tables` without the interpreter.

cdef class CountsTable:
    cdef long long[::1] _key
    cdef int[::1] _row
    cdef long long _mask
    cdef double[::1] _count

    cdef int find(self, long long key) noexcept nogil
    cdef double count_at(self, int row) noexcept nogil
    cdef double count_of(self, long long key) noexcept nogil

cdef class Tables:
    cdef long long places, scans, start_scan
    cdef CountsTable place, scan, lane, route, product_scan, product_type
    cdef CountsTable header, company, product, company_product, lot, product_lot
    cdef double[:, ::1] vector, lane_gap, route_hours, lot_day, lot_serial, type_pair
    cdef double[:, :, ::1] type_pair_gap
    cdef double[::1] type_pair_total
    cdef double serial_step
    cdef int[::1] level_rank, type_rank
    cdef long long[::1] area

    cdef int place_of(self, long long location_id) noexcept nogil
    cdef double kilometres(self, int place, int other) noexcept nogil
