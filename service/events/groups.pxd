# What compiled loops may use of `groups` without the interpreter.

cpdef int number(const int[::1] first, const long long[::1] second, int[::1] found, int[::1] slots) noexcept nogil
cpdef void count_sort(const int[::1] group, const Py_ssize_t[::1] members, int[::1] start, Py_ssize_t[::1] order) noexcept nogil
cdef long long slot(long long first, long long second) noexcept nogil
cdef long long spread(long long mixed) noexcept nogil
