# What compiled loops may use of `texts` without the interpreter.

cpdef int number_texts(const unsigned char[::1] raw, const long long[::1] begin, const long long[::1] size, int[::1] number, int[::1] first, int[::1] slots) noexcept nogil
