# A stand-in is EF B7 90 + its number.
cdef byte[64] STANDS_FOR
cdef byte[128] STAND_IN
cdef int NUM_STAND_INS = len(reference.PROTECTED)


def _know_stand_ins() -> None:
    for stand_in, char in reference.PROTECTED.items():
        encoded = stand_in.encode()
        if encoded[:2] != b"\xef\xb7" or not 0 <= encoded[2] - 0x90 < 48:
            raise ImportError("a stand-in is not where _kernel.pyx looks for it")
        STANDS_FOR[<int>encoded[2] - 0x90] = ord(char)
        STAND_IN[<int>ord(char)] = encoded[2]


memset(STAND_IN, 0, 128)
_know_stand_ins()


cdef inline int put_stand_in(Buffer* out, byte char) except -1:
    cdef byte[3] encoded
    encoded[0] = 0xEF
    encoded[1] = 0xB7
    encoded[2] = STAND_IN[char]
    return put_from_outside(out, encoded, 3)


cdef inline bint is_stand_in(const byte* s) noexcept:
    return s[0] == 0xEF and s[1] == 0xB7 and 0x90 <= s[2] < 0x90 + NUM_STAND_INS
