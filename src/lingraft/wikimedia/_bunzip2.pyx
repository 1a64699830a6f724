# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Unpack whole bzip2 streams faster than libbz2: their blocks are inverted side by side.

Inverting the Burrows-Wheeler transform is one long chain of look-ups in 3.6 MB, and nearly all of its time is waiting
for memory. `LANES` blocks, of one stream or of several, are as many chains, whose waits overlap; they lie in huge pages
where the system has them. Huffman codes are read through a table, and the check sum takes eight bytes at a time.
It costs 36 MB. benchmarks/extraction.py prints the speed beside libbz2's.

Only good streams are unpacked: whatever is odd gives None, and the caller asks the bz2 module, which names the fault.
Source of the format: J. Tsai, "BZIP2: Format Specification" (2016).
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

cdef extern from *:
    """
    static inline uint64_t load_big(const unsigned char *p) {
        return ((uint64_t)p[0] << 56) | ((uint64_t)p[1] << 48) | ((uint64_t)p[2] << 40) | ((uint64_t)p[3] << 32)
             | ((uint64_t)p[4] << 24) | ((uint64_t)p[5] << 16) | ((uint64_t)p[6] << 8) | (uint64_t)p[7];
    }

    #include <stdlib.h>
    #if defined(__linux__)
    #include <sys/mman.h>
    #endif

    static void *new_arena(size_t size) {
    #if defined(__linux__) && defined(MADV_HUGEPAGE)
        void *arena = NULL;
        if (posix_memalign(&arena, 1 << 21, size)) return NULL;
        madvise(arena, size, MADV_HUGEPAGE);
        return arena;
    #else
        return malloc(size);
    #endif
    }
    """
    void* new_arena(size_t size) noexcept
    uint64_t load_big(const uint8_t* p) noexcept nogil

DEF LANES = 8
DEF MAX_BLOCK = 900000
DEF MAX_SELECTORS = 32768
DEF TABLE_BITS = 10
DEF MAX_BITS = 20
DEF MAX_SYMBOLS = 258
DEF GROUP = 50
DEF PADDING = 16

cdef uint64_t BLOCK_MAGIC = 0x314159265359
cdef uint64_t END_MAGIC = 0x177245385090

cdef uint32_t[8][256] CRC


cdef void _make_crc() noexcept:
    cdef uint32_t value
    cdef int i, j
    for i in range(256):
        value = <uint32_t>i << 24
        for j in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        CRC[0][i] = value
    for i in range(256):
        for j in range(1, 8):
            CRC[j][i] = (CRC[j - 1][i] << 8) ^ CRC[0][CRC[j - 1][i] >> 24]


_make_crc()


cdef struct Bits:
    const uint8_t* data
    Py_ssize_t at, size  # bytes; behind them lie PADDING zeros
    uint64_t held        # the next bits, from the top
    int num_held


cdef struct Code:
    uint16_t[1 << TABLE_BITS] table  # symbol << 5 | length; 0 for a longer code
    int32_t[MAX_BITS + 2] limit      # by length: one more than the largest code, at 20 bits
    int32_t[MAX_BITS + 2] offset     # of the first symbol of that length, less its code
    uint16_t[MAX_SYMBOLS] symbols    # by code
    int shortest, longest


cdef struct Block:
    uint32_t* chain     # place of the next byte << 8 | this byte
    uint8_t* bytes      # the transformed block, then the block as it was before
    uint32_t size, first, crc


cdef inline void fill(Bits* bits) noexcept nogil:
    """Hold at least 56 bits, zeros behind the end."""
    if bits.at <= bits.size:
        bits.held |= load_big(bits.data + bits.at) >> bits.num_held
        bits.at += (63 - bits.num_held) >> 3
        bits.num_held |= 56
    else:
        bits.num_held = 64  # an end that is passed is noticed by `overrun`
        bits.at += 8


cdef inline uint32_t take(Bits* bits, int count) noexcept nogil:
    """Return the next 1 to 32 bits."""
    cdef uint32_t value
    if bits.num_held < count:
        fill(bits)
    value = <uint32_t>(bits.held >> (64 - count))
    bits.held <<= count
    bits.num_held -= count
    return value


cdef inline bint overrun(Bits* bits) noexcept nogil:
    return bits.at - (bits.num_held >> 3) > bits.size


cdef bint make_code(Code* code, const uint8_t* lengths, int num_symbols) noexcept nogil:
    """Make the tables of a canonical Huffman code; return whether it is one."""
    cdef int length, symbol, count = 0
    cdef uint32_t value = 0, i, start
    memset(code.table, 0, sizeof(code.table))
    code.shortest, code.longest = MAX_BITS, 1
    for symbol in range(num_symbols):
        code.shortest = min(code.shortest, lengths[symbol])
        code.longest = max(code.longest, lengths[symbol])
    for length in range(1, MAX_BITS + 1):
        value <<= 1
        code.offset[length] = count - <int32_t>value
        for symbol in range(num_symbols):
            if lengths[symbol] == length:
                if value >= (1u << length):
                    return False
                code.symbols[count] = symbol
                if length <= TABLE_BITS:
                    start = value << (TABLE_BITS - length)
                    for i in range(1 << (TABLE_BITS - length)):
                        code.table[start + i] = symbol << 5 | length
                count += 1
                value += 1
        code.limit[length] = value << (MAX_BITS - length)
    return True


cdef inline int long_length(uint64_t held, Code* code) noexcept nogil:
    """Return the length of the next code, which is longer than the table's; 0 when there is none."""
    cdef int32_t value = <int32_t>(held >> (64 - MAX_BITS))
    cdef int length = TABLE_BITS + 1
    while length <= code.longest and value >= code.limit[length]:
        length += 1
    return length if length <= code.longest else 0


cdef class Unpacker:
    """Unpacks streams one after the other in the same memory."""

    cdef Block[LANES] blocks
    cdef int num_blocks
    cdef Code[6] codes
    cdef uint8_t* arena
    cdef uint8_t* selectors
    cdef uint8_t* out
    cdef Py_ssize_t size, room, limit

    def __cinit__(self):
        cdef int i
        cdef Py_ssize_t chain = MAX_BLOCK * sizeof(uint32_t)
        self.arena = <uint8_t*>new_arena(LANES * (chain + MAX_BLOCK))
        self.selectors = <uint8_t*>malloc(MAX_SELECTORS)
        if self.arena == NULL or self.selectors == NULL:
            raise MemoryError
        for i in range(LANES):
            self.blocks[i].chain = <uint32_t*>(self.arena + i * chain)
            self.blocks[i].bytes = self.arena + LANES * chain + i * MAX_BLOCK

    def __dealloc__(self):
        free(self.arena)
        free(self.selectors)
        free(self.out)

    def unpack(self, bytes packed, Py_ssize_t limit):
        """Return the data of whole streams, which follow each other in `packed`.

        None where one is damaged, is not all there, or when they have more than `limit` bytes together.
        """
        cdef bytes padded = packed + bytes(PADDING)
        cdef const uint8_t* data = padded
        cdef Py_ssize_t size = len(packed)
        cdef bint good
        self.limit = limit
        with nogil:
            good = self.read(data, size)
        return PyBytes_FromStringAndSize(<char*>self.out, self.size) if good else None

    cdef bint read(self, const uint8_t* data, Py_ssize_t size) noexcept nogil:
        cdef Bits bits
        cdef uint64_t magic
        cdef uint32_t crc, most
        cdef Py_ssize_t at = 0
        self.size = 0
        self.num_blocks = 0
        while at < size:
            data += at
            size -= at
            if size < 14 or data[0] != c"B" or data[1] != c"Z" or data[2] != c"h" or not c"1" <= data[3] <= c"9":
                return False
            most = (data[3] - 48) * 100000
            bits.data, bits.at, bits.size, bits.held, bits.num_held = data, 4, size, 0, 0
            crc = 0
            while True:
                magic = (<uint64_t>take(&bits, 24) << 24) | take(&bits, 24)
                if magic != BLOCK_MAGIC:
                    break
                if self.num_blocks == LANES and not self.finish():
                    return False
                if not self.read_block(&bits, &self.blocks[self.num_blocks], most):
                    return False
                crc = ((crc << 1) | (crc >> 31)) ^ self.blocks[self.num_blocks].crc
                self.num_blocks += 1
            if magic != END_MAGIC or take(&bits, 32) != crc or overrun(&bits):
                return False
            at = bits.at - (bits.num_held >> 3)
        return self.finish()

    cdef bint finish(self) noexcept nogil:
        """Invert and append the blocks that were read."""
        cdef int i
        turn_back(self.blocks, self.num_blocks)
        for i in range(self.num_blocks):
            if not self.write(&self.blocks[i]):
                return False
        self.num_blocks = 0
        return True

    cdef bint read_block(self, Bits* bits, Block* block, uint32_t most) noexcept nogil:
        """Read a block up to the transform, and thread its chain."""
        cdef uint8_t[256] order, lengths
        cdef uint8_t[MAX_SYMBOLS] lengths_of
        cdef uint32_t[256] starts
        cdef uint32_t used, count = 0, i, total, run, shift, place
        cdef int num_used = 0, num_codes, num_selectors, symbol, end, j, k, length, left
        cdef uint8_t byte
        cdef uint32_t* chain = block.chain
        cdef uint8_t* transformed = block.bytes
        cdef Code* code
        cdef uint64_t held
        cdef int num_held
        cdef uint16_t entry
        cdef int selector = 0
        block.crc = take(bits, 32)
        if take(bits, 1):
            return False  # randomised: of before 1999
        block.first = take(bits, 24)
        used = take(bits, 16)
        for j in range(16):
            if used >> (15 - j) & 1:
                i = take(bits, 16)
                for k in range(16):
                    if i >> (15 - k) & 1:
                        order[num_used] = j * 16 + k
                        num_used += 1
        num_codes, num_selectors = take(bits, 3), take(bits, 15)
        if num_used == 0 or not 2 <= num_codes <= 6 or num_selectors == 0:
            return False
        for j in range(num_codes):
            lengths[j] = j
        for j in range(num_selectors):
            k = 0
            while take(bits, 1):
                k += 1
                if k >= num_codes:
                    return False
            byte = lengths[k]
            memmove(&lengths[1], &lengths[0], k)
            lengths[0] = byte
            self.selectors[j] = byte
        for j in range(num_codes):
            length = take(bits, 5)
            for symbol in range(num_used + 2):
                while True:
                    if not 1 <= length <= MAX_BITS:
                        return False
                    if not take(bits, 1):
                        break
                    length += -1 if take(bits, 1) else 1
                lengths_of[symbol] = length
            if not make_code(&self.codes[j], lengths_of, num_used + 2):
                return False
        if overrun(bits):
            return False

        memset(starts, 0, sizeof(starts))
        end = num_used + 1
        left = 0
        run, shift = 0, 0
        code = &self.codes[0]
        held, num_held = bits.held, bits.num_held
        while True:
            if left == 0:
                if selector == num_selectors:
                    return False
                code = &self.codes[self.selectors[selector]]
                selector += 1
                left = GROUP
            left -= 1
            if num_held < MAX_BITS:
                bits.held, bits.num_held = held, num_held
                if overrun(bits):
                    return False
                fill(bits)
                held, num_held = bits.held, bits.num_held
            entry = code.table[held >> (64 - TABLE_BITS)]
            if entry:
                symbol = entry >> 5
                held <<= entry & 31
                num_held -= entry & 31
            else:
                length = long_length(held, code)
                if length == 0:
                    return False
                symbol = code.symbols[<int32_t>(held >> (64 - length)) + code.offset[length]]
                held <<= length
                num_held -= length
            if symbol <= 1:
                if shift > 20:
                    return False
                run += <uint32_t>(symbol + 1) << shift
                shift += 1
                continue
            if run:
                if run > most - count:
                    return False
                byte = order[0]
                starts[byte] += run
                memset(transformed + count, byte, run)
                count += run
                run, shift = 0, 0
            if symbol == end:
                break
            if count == most:
                return False
            j = symbol - 1
            byte = order[j]
            if j < 16:
                while j > 0:
                    order[j] = order[j - 1]
                    j -= 1
            else:
                memmove(&order[1], &order[0], j)
            order[0] = byte
            starts[byte] += 1
            transformed[count] = byte
            count += 1
        bits.held, bits.num_held = held, num_held
        if block.first >= count:
            return False
        total = 0
        for j in range(256):
            i = starts[j]
            starts[j] = total
            total += i
        for i in range(count):
            byte = transformed[i]
            chain[starts[byte]] = i << 8 | byte
            starts[byte] += 1
        block.size = count
        return True

    cdef bint write(self, Block* block) noexcept nogil:
        """Undo the run-length code of a block, append it, and check its sum."""
        cdef const uint8_t* turned = block.bytes
        cdef uint32_t i = 0, repeats, size = block.size
        cdef int last = -1, count = 0
        cdef uint8_t byte
        cdef Py_ssize_t start = self.size, at = self.size
        if not self.reserve(at + size + 260):
            return False
        cdef uint8_t* out = self.out
        while i < size:
            byte = turned[i]
            i += 1
            out[at] = byte
            at += 1
            if byte != last:
                last, count = byte, 1
                continue
            count += 1
            if count == 4:
                if i == size:
                    return False
                repeats = turned[i]
                i += 1
                if not self.reserve(at + repeats + (size - i) + 260):
                    return False
                out = self.out
                memset(out + at, byte, repeats)
                at += repeats
                last = -1
        self.size = at
        return at <= self.limit and crc_of(out + start, at - start) == block.crc

    cdef bint reserve(self, Py_ssize_t room) noexcept nogil:
        cdef uint8_t* more
        if room <= self.room:
            return True
        if room > self.limit + MAX_BLOCK + 1024:
            return False
        room += room >> 1
        more = <uint8_t*>realloc(self.out, room)
        if more == NULL:
            return False
        self.out, self.room = more, room
        return True


cdef void turn_back(Block* blocks, int num_blocks) noexcept nogil:
    """Invert the transform of all blocks, side by side; those that have ended drop out."""
    cdef (uint32_t*)[LANES] chain
    cdef (uint8_t*)[LANES] out
    cdef uint32_t[LANES] place, end
    cdef uint32_t i = 0, until, entry
    cdef int lane, active = num_blocks
    for lane in range(num_blocks):
        chain[lane], out[lane] = blocks[lane].chain, blocks[lane].bytes
        place[lane], end[lane] = blocks[lane].first, blocks[lane].size
    while active:
        until = end[0]
        for lane in range(1, active):
            until = min(until, end[lane])
        while i < until:
            for lane in range(active):
                entry = chain[lane][place[lane]]
                out[lane][i] = entry & 0xFF
                place[lane] = entry >> 8
            i += 1
        lane = 0
        while lane < active:
            if end[lane] > until:
                lane += 1
                continue
            active -= 1
            chain[lane], out[lane] = chain[active], out[active]
            place[lane], end[lane] = place[active], end[active]


cdef uint32_t crc_of(const uint8_t* data, Py_ssize_t size) noexcept nogil:
    cdef uint32_t crc = 0xFFFFFFFF
    cdef uint64_t word
    while size >= 8:
        word = load_big(data) ^ (<uint64_t>crc << 32)
        crc = (
            CRC[7][word >> 56] ^ CRC[6][word >> 48 & 0xFF] ^ CRC[5][word >> 40 & 0xFF] ^ CRC[4][word >> 32 & 0xFF]
            ^ CRC[3][word >> 24 & 0xFF] ^ CRC[2][word >> 16 & 0xFF] ^ CRC[1][word >> 8 & 0xFF] ^ CRC[0][word & 0xFF]
        )
        data += 8
        size -= 8
    while size:
        crc = (crc << 8) ^ CRC[0][(crc >> 24) ^ data[0]]
        data += 1
        size -= 1
    return ~crc
