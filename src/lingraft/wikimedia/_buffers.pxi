# Growable memory, and what has to be known of UTF-8. Text is UTF-8 in which lone surrogates may stand (three bytes
# each), so every character that markup is made of is one byte, and no byte of another character looks like it.
# Behind the end of every buffer stand PADDING zero bytes: looking ahead character by character stops there by itself,
# and sixteen bytes can be read and written wherever one of the buffer's can.

ctypedef unsigned char byte
ctypedef unsigned long long word

cdef enum:
    PADDING = 16

# Sixteen bytes at once, with SSE2 where there is: a mask has a bit for each byte that is sought. `load16` reads as many
# from wherever it is pointed to: within a buffer, whose padding is as long.
cdef extern from *:
    """
    #if defined(__SSE2__) && defined(__GNUC__)
    #include <emmintrin.h>
    typedef __m128i sixteen;
    #define load16(s) _mm_loadu_si128((const __m128i*)(s))
    #define store16(s, x) _mm_storeu_si128((__m128i*)(s), x)
    #define equal16(x, c) ((unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8((char)(c)))))
    #define at_most16(x, c) ((unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8((char)(c))), x)))
    #define high16(x) ((unsigned)_mm_movemask_epi8(x))
    #define low_bit(mask) __builtin_ctz(mask)

    static inline unsigned either16(__m128i x, unsigned char one, unsigned char other) {
        return (unsigned)_mm_movemask_epi8(_mm_or_si128(
            _mm_cmpeq_epi8(x, _mm_set1_epi8((char)one)), _mm_cmpeq_epi8(x, _mm_set1_epi8((char)other))));
    }

    /* All of []{}|<>#: and line ends (10), and a few that are none of these. */
    static inline unsigned markup16(__m128i x) {
        __m128i folded = _mm_sub_epi8(_mm_or_si128(x, _mm_set1_epi8(0x20)), _mm_set1_epi8(0x7B));
        __m128i found = _mm_cmpeq_epi8(_mm_min_epu8(folded, _mm_set1_epi8(2)), folded);
        found = _mm_or_si128(found, _mm_cmpeq_epi8(_mm_or_si128(x, _mm_set1_epi8(6)), _mm_set1_epi8(0x3E)));
        found = _mm_or_si128(found, _mm_cmpeq_epi8(x, _mm_set1_epi8('#')));
        return (unsigned)_mm_movemask_epi8(_mm_or_si128(found, _mm_cmpeq_epi8(x, _mm_set1_epi8(10))));
    }

    static inline Py_ssize_t sum16(__m128i ones) {
        __m128i sums = _mm_sad_epu8(ones, _mm_setzero_si128());
        return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4);
    }

    static inline Py_ssize_t num_points16(__m128i x) {
        return sum16(_mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8(-65)), _mm_set1_epi8(1)));
    }

    static inline Py_ssize_t num_equal16(__m128i x, unsigned char c) {
        return sum16(_mm_and_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8((char)c)), _mm_set1_epi8(1)));
    }
    #else
    typedef unsigned long long lanes;  /* eight bytes, the first one lowest */
    typedef struct { lanes low, high; } sixteen;
    #define EACH(c) (0x0101010101010101ULL * (unsigned char)(c))
    #define TOPS EACH(0x80)
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define IN_ORDER(x) __builtin_bswap64(x)
    #else
    #define IN_ORDER(x) (x)
    #endif

    static inline sixteen load16(const unsigned char* s) {
        lanes two[2];
        memcpy(two, s, 16);
        sixteen x = {IN_ORDER(two[0]), IN_ORDER(two[1])};
        return x;
    }
    static inline void store16(unsigned char* s, sixteen x) {
        lanes two[2] = {IN_ORDER(x.low), IN_ORDER(x.high)};
        memcpy(s, two, 16);
    }
    /* What follows asks eight bytes, the answer in the top bit of each; `mask8` gathers these bits. */
    static inline unsigned mask8(lanes tops) {
        return (unsigned)((((tops & TOPS) >> 7) * 0x0102040810204080ULL) >> 56);
    }
    static inline lanes equal8(lanes x, unsigned char c) {
        x ^= EACH(c);
        return ~(((x & ~TOPS) + ~TOPS) | x);
    }
    static inline lanes at_most8(lanes x, unsigned char c) {
        lanes above = (x & ~TOPS) + EACH(0x7F - (c & 0x7F));
        return c < 0x80 ? ~(above | x) : ~(above & x);
    }
    static inline lanes markup8(lanes x) {
        lanes folded = x | EACH(0x20), brackets = at_most8(folded, 0x7D) & ~at_most8(folded, 0x7A);
        return brackets | equal8(x | EACH(6), 0x3E) | equal8(x, '#') | equal8(x, 10);
    }
    static inline int ones8(lanes tops) { return (int)((((tops & TOPS) >> 7) * EACH(1)) >> 56); }
    #define MASK16(eight) { lanes y = x.low; unsigned m = mask8(eight); y = x.high; return m | mask8(eight) << 8; }
    #define SUM16(eight) { lanes y = x.low; int n = ones8(eight); y = x.high; return n + ones8(eight); }
    static inline unsigned equal16(sixteen x, unsigned char c) MASK16(equal8(y, c))
    static inline unsigned at_most16(sixteen x, unsigned char c) MASK16(at_most8(y, c))
    static inline unsigned high16(sixteen x) MASK16(y)
    static inline unsigned either16(sixteen x, unsigned char one, unsigned char other)
        MASK16(equal8(y, one) | equal8(y, other))
    static inline unsigned markup16(sixteen x) MASK16(markup8(y))
    static inline Py_ssize_t num_points16(sixteen x) SUM16(~y | y << 1)  /* all but 10xxxxxx */
    static inline Py_ssize_t num_equal16(sixteen x, unsigned char c) SUM16(equal8(y, c))
    #if defined(__GNUC__)
    #define low_bit(mask) __builtin_ctz(mask)
    #else
    static inline int low_bit(unsigned mask) { int i = 0; while (!(mask >> i & 1)) i++; return i; }
    #endif
    #endif
    """
    ctypedef struct sixteen:
        pass
    sixteen load16(const byte*) noexcept
    void store16(byte*, sixteen) noexcept
    unsigned int equal16(sixteen, byte) noexcept
    unsigned int at_most16(sixteen, byte) noexcept
    unsigned int high16(sixteen) noexcept
    unsigned int either16(sixteen, byte, byte) noexcept
    unsigned int markup16(sixteen) noexcept
    int low_bit(unsigned int) noexcept
    Py_ssize_t num_points16(sixteen) noexcept
    Py_ssize_t num_equal16(sixteen, byte) noexcept

cdef struct Buffer:
    byte* data
    Py_ssize_t size
    Py_ssize_t capacity

cdef struct Opened:
    Py_ssize_t mark  # where its inside begins in the output
    Py_ssize_t begin  # where its braces begin in the wikitext
    Py_ssize_t width  # of its braces

cdef struct Table:
    Py_ssize_t start  # of its first line
    Py_ssize_t end  # of the line that closes it, or of the heading that ends it
    bint closed

cdef struct Section:
    Py_ssize_t start  # of its text, in code points
    Py_ssize_t end
    int level
    Py_ssize_t heading  # bytes of the text
    Py_ssize_t heading_end

cdef struct Ints:
    int* data
    Py_ssize_t size
    Py_ssize_t capacity


cdef int grow(Buffer* buffer, Py_ssize_t extra) except -1:
    cdef Py_ssize_t capacity = 2 * buffer.capacity + extra + 4096
    cdef byte* data = <byte*>realloc(buffer.data, capacity)
    if data == NULL:
        raise MemoryError
    buffer.data = data
    buffer.capacity = capacity
    return 0


cdef inline int reserve(Buffer* buffer, Py_ssize_t extra) except -1:
    if buffer.capacity - buffer.size < extra + PADDING:
        grow(buffer, extra + PADDING)
    return 0


cdef inline int put(Buffer* buffer, const byte* start, Py_ssize_t length) except -1:
    """Add what lies in another buffer."""
    if length > 16:
        return put_from_outside(buffer, start, length)
    if length <= 0:
        return 0
    reserve(buffer, length)
    store16(buffer.data + buffer.size, load16(start))
    buffer.size += length
    return 0


cdef inline int put_from_outside(Buffer* buffer, const byte* start, Py_ssize_t length) except -1:
    reserve(buffer, length)
    memcpy(buffer.data + buffer.size, start, length)
    buffer.size += length
    return 0


cdef inline int put_byte(Buffer* buffer, byte value) except -1:
    reserve(buffer, 1)
    buffer.data[buffer.size] = value
    buffer.size += 1
    return 0


cdef inline void seal(Buffer* buffer) noexcept:
    memset(buffer.data + buffer.size, 0, PADDING)


cdef inline int put_bytes(Buffer* buffer, bytes value) except -1:
    return put_from_outside(buffer, <const byte*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))


cdef int put_object(Buffer* buffer, str text) except -1:
    return put_bytes(buffer, text.encode("utf-8", "surrogatepass"))


cdef inline str text_of(const byte* start, Py_ssize_t length):
    return PyUnicode_DecodeUTF8(<const char*>start, length, "surrogatepass")


cdef inline int add_int(Ints* ints, Py_ssize_t value) except -1:
    cdef int* data
    if value > INT_MAX:
        raise OverflowError("columns hold less than 2 GiB: take() them more often")
    if ints.size == ints.capacity:
        data = <int*>realloc(ints.data, (2 * ints.capacity + 256) * sizeof(int))
        if data == NULL:
            raise MemoryError
        ints.data = data
        ints.capacity = 2 * ints.capacity + 256
    ints.data[ints.size] = <int>value
    ints.size += 1
    return 0


# One bit a question, for each byte; what the steps stop at.
cdef enum:
    IS_SPACE = 1  # ASCII white space, as str.isspace
    IS_ALNUM = 2
    STOPS_LINK = 4  # [ ] and the marks of a heading
    STOPS_TARGET = 8  # what no target of a plain link holds
    IN_TARGET_NEVER = 16  # []{}|<> and line ends
    STOPS_ENTITY = 32  # & and what is white space or a hole, in one pass
    LIST_OR_SPACE = 64

cdef byte[256] CLASS
cdef byte[256] SPECIAL  # what a line may begin with that is not plain text


cdef void _classify() noexcept:
    cdef int i
    memset(CLASS, 0, sizeof(CLASS))
    memset(SPECIAL, 0, 256)
    for i in range(128):
        if 9 <= i <= 13 or 28 <= i <= 32:
            CLASS[i] |= IS_SPACE
        if 48 <= i <= 57 or 65 <= i <= 90 or 97 <= i <= 122:
            CLASS[i] |= IS_ALNUM
        if i in b"[]\x04\x05":
            CLASS[i] |= STOPS_LINK
        if i in b"[]|{}<>\n#:":
            CLASS[i] |= STOPS_TARGET
        if i in b"[]|{}<>\n":
            CLASS[i] |= IN_TARGET_NEVER
        if i in b"&\t\x00":
            CLASS[i] |= STOPS_ENTITY
        if i in b" \t=*#:;{|-":
            SPECIAL[i] = 1
        if i in b"*#:; \t":
            CLASS[i] |= LIST_OR_SPACE
    CLASS[0xC2] |= STOPS_ENTITY  # of U+00A0


_classify()


cdef inline int space_at(const byte* s) noexcept:
    """Return the length of the white space character that begins here, 0 if it is none."""
    cdef byte c = s[0]
    if c < 0x80:
        return CLASS[c] & IS_SPACE
    if c == 0xC2:
        return 2 if s[1] == 0x85 or s[1] == 0xA0 else 0
    if c == 0xE2:
        if s[1] == 0x80:
            return 3 if s[2] <= 0x8A or s[2] == 0xA8 or s[2] == 0xA9 or s[2] == 0xAF else 0
        return 3 if s[1] == 0x81 and s[2] == 0x9F else 0
    if c == 0xE1:
        return 3 if s[1] == 0x9A and s[2] == 0x80 else 0
    return 3 if c == 0xE3 and s[1] == 0x80 and s[2] == 0x80 else 0


cdef inline int space_before(const byte* s, Py_ssize_t start, Py_ssize_t end) noexcept:
    """Return the length of the white space character that ends at `end`, 0 if it is none."""
    cdef byte c
    if end <= start:
        return 0
    c = s[end - 1]
    if c < 0x80:
        return CLASS[c] & IS_SPACE
    if end - start >= 2 and s[end - 2] == 0xC2:
        return space_at(s + end - 2)
    if end - start >= 3 and s[end - 3] >= 0xE0:
        return space_at(s + end - 3)
    return 0


cdef inline Py_ssize_t after_space(const byte* s, Py_ssize_t start, Py_ssize_t end) noexcept:
    """Return where s[start:end] begins without the white space before it."""
    cdef int length
    while start < end:
        length = space_at(s + start)
        if not length:
            break
        start += length
    return start


cdef inline Py_ssize_t before_space(const byte* s, Py_ssize_t start, Py_ssize_t end) noexcept:
    """Return where s[start:end] ends without the white space behind it."""
    cdef int length
    while end > start:
        length = space_before(s, start, end)
        if not length:
            break
        end -= length
    return end


cdef inline int width(byte first) noexcept:
    """Return the number of bytes of the character that begins with this one."""
    return 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


cdef inline unsigned int point_at(const byte* s) noexcept:
    """Return the code point of the character that begins here."""
    if s[0] < 0x80:
        return s[0]
    if s[0] < 0xE0:
        return (s[0] & 0x1F) << 6 | (s[1] & 0x3F)
    if s[0] < 0xF0:
        return (s[0] & 0x0F) << 12 | (s[1] & 0x3F) << 6 | (s[2] & 0x3F)
    return (s[0] & 0x07) << 18 | (s[1] & 0x3F) << 12 | (s[2] & 0x3F) << 6 | (s[3] & 0x3F)


cdef inline Py_ssize_t character_before(const byte* s, Py_ssize_t start, Py_ssize_t end) noexcept:
    """Return where the last character of s[start:end], which is not empty, begins."""
    end -= 1
    while end > start and (s[end] & 0xC0) == 0x80:
        end -= 1
    return end


cdef inline bint is_word_at(const byte* s) noexcept:
    """Whether a character is \\w."""
    return CLASS[s[0]] & IS_ALNUM or s[0] == c"_" if s[0] < 0x80 else Py_UNICODE_ISALNUM(point_at(s))


cdef inline Py_ssize_t num_points(const byte* s, Py_ssize_t length) noexcept:
    """Return the number of code points, which is that of the bytes that continue none."""
    cdef Py_ssize_t at = 0, count = 0
    while at + 16 <= length:
        count += num_points16(load16(s + at))
        at += 16
    while at < length:
        count += (<signed char>s[at]) > -65
        at += 1
    return count


cdef inline Py_ssize_t find_byte(const byte* s, Py_ssize_t start, Py_ssize_t end, byte value) noexcept:
    """Return where `value` stands in s[start:end], which lies in a buffer; else -1."""
    if start >= end:
        return -1
    cdef unsigned int near = equal16(load16(s + start), value)
    if near:
        start += low_bit(near)
        return start if start < end else -1
    if end - start <= 16:
        return -1
    cdef const byte* found = <const byte*>memchr(s + start + 16, value, end - start - 16)
    return found - s if found != NULL else -1


cdef inline Py_ssize_t find_either(const byte* s, Py_ssize_t start, Py_ssize_t end, byte one, byte other) noexcept:
    """Return where one of two bytes stands in s[start:end], else `end`."""
    cdef unsigned int found
    while start + 16 <= end:
        found = either16(load16(s + start), one, other)
        if found:
            return start + low_bit(found)
        start += 16
    while start < end and s[start] != one and s[start] != other:
        start += 1
    return start


cdef inline Py_ssize_t skip_to(const byte* s, Py_ssize_t at, Py_ssize_t end, byte stops) noexcept:
    """Return where the first markup of a class stands in s[at:end], which lies in a buffer; else `end`."""
    cdef unsigned int found
    while at < end:
        found = markup16(load16(s + at))
        while found:
            if CLASS[s[at + low_bit(found)]] & stops:
                return min(at + low_bit(found), end)
            found &= found - 1
        at += 16
    return end


cdef inline Py_ssize_t label_end(const byte* s, Py_ssize_t at, Py_ssize_t end, byte another) noexcept:
    """Return where the first bracket, line end or `another` stands in s[at:end], which lies in a buffer; else `end`."""
    cdef unsigned int found
    cdef sixteen x
    while at < end:
        x = load16(s + at)
        found = either16(x, c"[", c"]") | either16(x, c"\n", another)
        if found:
            return min(at + low_bit(found), end)
        at += 16
    return end


cdef inline Py_ssize_t copy_until(
    const byte* s, Py_ssize_t at, Py_ssize_t end, byte one, byte other, Buffer* out
) except -1:
    """Add s[at:end] to `out` up to the first of two bytes; return where that stands, else `end`."""
    cdef unsigned int found
    cdef sixteen x
    cdef byte* written
    reserve(out, end - at)
    written = out.data + out.size - at
    while at + 16 <= end:
        x = load16(s + at)
        store16(written + at, x)
        found = either16(x, one, other)
        if found:
            at += low_bit(found)
            break
        at += 16
    else:
        while at < end and s[at] != one and s[at] != other:
            written[at] = s[at]
            at += 1
    out.size = written + at - out.data
    return at


cdef inline Py_ssize_t copy_text(
    Buffer* out, const byte* s, Py_ssize_t at, Py_ssize_t end, Py_ssize_t* points
) except -1:
    """Add s[at:end] up to the first byte that may begin a stand-in, EF, and count its points; return where that is."""
    cdef unsigned int found
    cdef sixteen x
    cdef byte* written
    reserve(out, end - at)
    written = out.data + out.size - at
    while at + 16 <= end:
        x = load16(s + at)
        found = equal16(x, 0xEF)
        if found:
            break
        store16(written + at, x)
        points[0] += num_points16(x)
        at += 16
    while at < end and s[at] != 0xEF:
        written[at] = s[at]
        points[0] += (<signed char>s[at]) > -65
        at += 1
    out.size = written + at - out.data
    return at


# Of each byte, where it leads from each state of reading UTF-8: six bits a state, so that a step is one shift and
# waits for nothing. States are named by what may follow; ACCEPTED is between two characters.
cdef enum:
    ACCEPTED = 0
    REFUSED = 6
    ONE_MORE = 12
    TWO_MORE = 18
    AFTER_E0 = 24  # a shorter form would do below A0
    AFTER_ED = 30  # surrogates above 9F
    AFTER_F0 = 36
    AFTER_F1 = 42
    AFTER_F4 = 48  # beyond Unicode above 8F

cdef word[256] UTF8_STEPS


cdef void _learn_utf8() noexcept:
    cdef int c
    cdef word steps, first
    for c in range(256):
        if c < 0x80:
            first = ACCEPTED
        elif c < 0xC2 or c > 0xF4:
            first = REFUSED
        elif c < 0xE0:
            first = ONE_MORE
        elif c < 0xF0:
            first = AFTER_E0 if c == 0xE0 else AFTER_ED if c == 0xED else TWO_MORE
        else:
            first = AFTER_F0 if c == 0xF0 else AFTER_F4 if c == 0xF4 else AFTER_F1
        steps = first | <word>REFUSED << REFUSED
        steps |= <word>(ACCEPTED if 0x80 <= c < 0xC0 else REFUSED) << ONE_MORE
        steps |= <word>(ONE_MORE if 0x80 <= c < 0xC0 else REFUSED) << TWO_MORE
        steps |= <word>(ONE_MORE if 0xA0 <= c < 0xC0 else REFUSED) << AFTER_E0
        steps |= <word>(ONE_MORE if 0x80 <= c < 0xA0 else REFUSED) << AFTER_ED
        steps |= <word>(TWO_MORE if 0x90 <= c < 0xC0 else REFUSED) << AFTER_F0
        steps |= <word>(TWO_MORE if 0x80 <= c < 0xC0 else REFUSED) << AFTER_F1
        steps |= <word>(TWO_MORE if 0x80 <= c < 0x90 else REFUSED) << AFTER_F4
        UTF8_STEPS[c] = steps


_learn_utf8()


cdef bint is_utf8(const byte* s, Py_ssize_t n) noexcept:
    """Whether s[:n] is UTF-8 as Python reads it.

    Sixteen bytes at once by their kinds, as far as these tell: E0, ED and all above EF need a look at what follows.
    """
    cdef Py_ssize_t i = 0, least
    cdef word state
    cdef unsigned int high, below_e0, continuing, two, three, wanted_here
    cdef unsigned int wanted = 0  # where characters have to go on
    cdef sixteen x
    while i + 16 <= n:
        x = load16(s + i)
        high = high16(x)
        if high | wanted:
            below_e0 = at_most16(x, 0xDF)
            continuing = high & at_most16(x, 0xBF)
            two = below_e0 & ~at_most16(x, 0xC1)
            three = 0
            if below_e0 != 0xFFFF:
                three = at_most16(x, 0xEF) & ~below_e0 & ~either16(x, 0xE0, 0xED)
            wanted_here = wanted | two << 1 | three << 1 | three << 2
            if high == continuing | two | three and continuing == wanted_here & 0xFFFF:
                wanted = wanted_here >> 16
            else:
                state = ONE_MORE if wanted == 1 else TWO_MORE if wanted else ACCEPTED
                least = i + 16
                while i < n and (i < least or state > TWO_MORE):
                    state = UTF8_STEPS[s[i]] >> state & 63
                    i += 1
                if state == REFUSED or state > TWO_MORE:
                    return False
                wanted = 1 if state == ONE_MORE else 3 if state == TWO_MORE else 0
                continue
        i += 16
    state = ONE_MORE if wanted == 1 else TWO_MORE if wanted else ACCEPTED
    while i < n:
        state = UTF8_STEPS[s[i]] >> state & 63
        i += 1
    return state == ACCEPTED


cdef inline bint starts(const byte* s, const char* literal) noexcept:
    """Whether s begins with a literal; stops at the first difference, so never behind the padding."""
    cdef Py_ssize_t i = 0
    while literal[i]:
        if s[i] != <byte>literal[i]:
            return False
        i += 1
    return True


cdef inline bint starts_folded(const byte* s, const char* lower) noexcept:
    """Whether s begins with a lower-case literal, in whatever case of ASCII."""
    cdef Py_ssize_t i = 0
    cdef byte c
    while lower[i]:
        c = s[i]
        if 65 <= c <= 90:
            c += 32
        if c != <byte>lower[i]:
            return False
        i += 1
    return True


cdef inline Py_ssize_t find_text(const byte* s, Py_ssize_t start, Py_ssize_t end, const char* literal) noexcept:
    """Return where a literal stands in s[start:end], else -1."""
    cdef Py_ssize_t length = strlen(literal), at = find_byte(s, start, end, literal[0])
    while at >= 0 and at + length <= end:
        if memcmp(s + at, literal, length) == 0:
            return at
        at = find_byte(s, at + 1, end, literal[0])
    return -1
