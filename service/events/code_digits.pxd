# What compiled loops may use of `code_digits` without the interpreter.

cdef long long first_day(long long year, long long month) noexcept nogil
