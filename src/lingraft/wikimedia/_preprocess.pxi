# Twin of preprocess.py: the same steps in the same order, each from one buffer to the next.

# Names of the tags whose inside is not wikitext -> number; what is below NUM_DROPPED leaves a
# hole, below NUM_SILENT a placeholder.
cdef list TAG_NAMES = sorted(reference._DROPPED) + sorted(reference._PLACEHELD) + sorted(reference._PROTECTED)
cdef dict TAG_NUMBERS = {name.encode(): number for number, name in enumerate(TAG_NAMES)}
cdef list CLOSING_TAGS = [f"/{name}".encode() for name in TAG_NAMES]
cdef int NUM_TAGS = len(TAG_NAMES)
cdef int NUM_DROPPED = len(reference._DROPPED)
cdef int NUM_SILENT = NUM_DROPPED + len(reference._PLACEHELD)
cdef int NOWIKI = TAG_NUMBERS[b"nowiki"]
cdef int REF = TAG_NUMBERS[b"ref"]
cdef byte[256] BEGINS_TAG
cdef int LONGEST_TAG = max(map(len, TAG_NAMES))
if NUM_TAGS > MAX_TAGS:
    raise ImportError("more extension tags than _kernel.pyx has room for")
memset(BEGINS_TAG, 0, 256)
for _name in TAG_NUMBERS:
    BEGINS_TAG[<byte>_name[0]] = BEGINS_TAG[<byte>_name[0] - 32] = 1


cdef inline bint ends_name(byte c) noexcept:
    """Whether c may follow a tag's name: white space, "/" or ">"."""
    return c == c">" or c == c"/" or (9 <= c <= 13) or c == c" "


cdef int drop_tags(Reader reader) except -1:
    """Drop comments and extension tags."""
    cdef Py_ssize_t at = find_byte(reader.s, 0, reader.n, c"<")
    cdef bint hidden = False
    if at < 0:
        return 0
    while at >= 0 and not hidden:
        hidden = starts(reader.s + at, "<!--") or starts(reader.s + at, "<nowiki") or starts(reader.s + at, "<pre")
        at = find_byte(reader.s, at + 1, reader.n, c"<")
    if not hidden:
        drop_references(reader)
    drop_other_tags(reader)
    drop_inclusions(reader)
    return 0


cdef int drop_references(Reader reader) except -1:
    """Leave a hole for each plain reference: it holds no comment and no other tag that hides text."""
    cdef const byte* s = reader.s
    cdef Py_ssize_t end, position = 0, at = find_byte(s, 0, reader.n, c"<")
    cdef Buffer* out = reader.spare
    out.size = 0
    while at >= 0:
        end = plain_reference(s, at, reader.n) if s[at + 1] == c"r" and s[at + 2] == c"e" and s[at + 3] == c"f" else 0
        if end:
            put(out, s + position, at - position)
            put_byte(out, 0)
            reader.tags[REF] += 1
            position = end
        at = find_byte(s, end or at + 1, reader.n, c"<")
    if position:
        put(out, s + position, reader.n - position)
        reader.turn()
    return 0


cdef Py_ssize_t plain_reference(const byte* s, Py_ssize_t at, Py_ssize_t n) noexcept:
    """Return where the reference ends whose "<ref" stands at `at`, 0 if it is none or not a plain one."""
    cdef int space
    cdef const byte* tag
    at += 4
    if s[at] != c">":
        space = 1 if s[at] == c"/" else space_at(s + at)
        if not space:
            return 0
        at += space
        while at < n and s[at] != c">":
            if s[at] == c"<":
                return 0
            at += 1
        if at >= n:
            return 0
        if s[at - 1] == c"/":
            return at + 1
    at = find_byte(s, at + 1, n, c"<")
    while at >= 0:
        tag = s + at + 1
        if starts(tag, "/ref"):
            if not is_word_at(tag + 4):
                at += 5
                at = after_space(s, at, n)
                return at + 1 if at < n and s[at] == c">" else 0
        elif starts(tag, "ref"):
            if not is_word_at(tag + 3):
                return 0
        elif starts(tag, "!--") or starts(tag, "nowiki") or starts(tag, "pre") or starts(tag, "math"):
            return 0
        at = find_byte(s, at + 1, n, c"<")
    return 0


cdef int drop_other_tags(Reader reader) except -1:
    """Drop comments and the tags that `drop_references` has left, one after the other."""
    cdef const byte* s = reader.s
    cdef Py_ssize_t n = reader.n, start, end, resume, closed, position = 0, opened = 0
    cdef int number
    cdef Buffer* out = reader.spare
    cdef byte[MAX_TAGS] unclosed
    out.size = 0
    memset(unclosed, 0, MAX_TAGS)
    start = find_byte(s, 0, n, c"<")
    while start >= 0:
        resume = start + 1
        if s[resume] == c"!" and s[resume + 1] == c"-" and s[resume + 2] == c"-":
            end = find_text(s, start + 4, n, "-->")
            end = n if end < 0 else end + 3
            if start and s[start - 1] == c"\n" and end < n and s[end] == c"\n":
                end += 1  # a comment that fills its line goes with the line
            put(out, s + position, start - position)
            position = resume = end
        elif BEGINS_TAG[s[resume]]:
            number = tag_number(s + resume)
            if number >= 0:
                if 0 <= opened < resume:
                    opened = find_byte(s, resume, n, c">")
                if opened >= 0 and s[opened - 1] == c"/":
                    put(out, s + position, start - position)
                    if number < NUM_DROPPED:
                        put_byte(out, 0)
                    elif number == NOWIKI:
                        put_byte(out, 1)
                    position = resume = opened + 1
                elif opened >= 0 and not unclosed[number]:
                    closed = closing_tag(s, opened + 1, n, number, &end)
                    if closed < 0:
                        unclosed[number] = 1
                    else:
                        put(out, s + position, start - position)
                        if number < NUM_DROPPED:
                            put_byte(out, 0)
                        elif number < NUM_SILENT:
                            put_from_outside(out, <const byte*>"\xef\xbf\xbc", 3)  # PLACEHOLDER
                        else:
                            inside = text_of(s + opened + 1, closed - opened - 1)
                            put_object(out, reference._shown(TAG_NAMES[number], inside))
                        position = resume = end
                        reader.tags[number] += 1
        start = find_byte(s, resume, n, c"<")
    if position:
        put(out, s + position, n - position)
        reader.turn()
    return 0


cdef int tag_number(const byte* name) except -2:
    """Return the number of the extension tag whose name begins here, -1 if it is none."""
    cdef char[32] lower
    cdef int length = 0
    while length < LONGEST_TAG + 1 and (CLASS[name[length]] & IS_ALNUM or name[length] == c"-"):
        lower[length] = name[length] | 32 if 65 <= name[length] <= 90 else name[length]
        length += 1
    if not ends_name(name[length]):
        return -1
    return TAG_NUMBERS.get(lower[:length], -1)


cdef Py_ssize_t closing_tag(const byte* s, Py_ssize_t start, Py_ssize_t n, int number, Py_ssize_t* end) except -2:
    """Return where `</name>` begins in s[start:n], and in `end` where it ends; -1 if there is none."""
    cdef bytes name = CLOSING_TAGS[number]
    cdef const char* wanted = name
    cdef Py_ssize_t after, at = find_byte(s, start, n, c"<")
    while at >= 0:
        if starts_folded(s + at + 1, wanted):
            after = at + 1 + PyBytes_GET_SIZE(name)
            while 9 <= s[after] <= 13 or s[after] == c" ":
                after += 1
            if s[after] == c">" and after < n:
                end[0] = after + 1
                return at
        at = find_byte(s, at + 1, n, c"<")
    return -1


cdef int drop_inclusions(Reader reader) except -1:
    """Take out the tags that matter only where a page is included; no article needs them often."""
    cdef Py_ssize_t at = find_byte(reader.s, 0, reader.n, c"<")
    cdef const byte* name
    while at >= 0:
        name = reader.s + at + (2 if reader.s[at + 1] == c"/" else 1)
        if starts_folded(name, "noinclude") or starts_folded(name, "onlyinclude") or starts_folded(name, "includeonly"):
            return reader.take_over(reference._INCLUSION.sub("", reader.shown()))
        at = find_byte(reader.s, at + 1, reader.n, c"<")
    return 0


cdef int show_templates(Reader reader) except -1:
    """Put what it shows in the place of each template and parameter; unpaired braces are text."""
    cdef const byte* s = reader.s
    cdef Py_ssize_t n = reader.n, at, start, end, closing, position = 0, depth = 0
    cdef int taken
    cdef Opened* opened
    cdef Buffer* out = reader.spare
    if find_text(s, 0, n, "{{") < 0:
        return 0
    out.size = 0
    at = find_either(s, 0, n, c"{", c"}")
    while at < n:
        start = end = at
        while s[end] == s[start]:
            end += 1
        at = find_either(s, end, n, c"{", c"}")
        if end - start < 2:
            continue
        if s[start] == c"{":
            put(out, s + position, start - position)
            reader.open_template(depth, out.size, start, end - start)
            depth += 1
            position = end
            continue
        closing = end - start
        while closing >= 2 and depth:
            put(out, s + position, start - position)
            depth -= 1
            opened = &reader.opened_at[depth]
            taken = 3 if opened.width >= 3 and closing >= 3 else 2
            opened.width -= taken
            closing -= taken
            position = start = end - closing
            show_template(reader, out, opened, s, taken == 3, depth)
            if opened.width >= 2:
                depth += 1
    finish_templates(reader, out, depth, s + position, n - position)
    reader.turn()
    return 0


cdef int show_template(
    Reader reader, Buffer* out, Opened* opened, const byte* s, bint is_parameter, Py_ssize_t depth
) except -1:
    """Replace the inside of a template or parameter, which is the end of `out`, by what is shown."""
    cdef Py_ssize_t mark = opened.mark, bar, start, before
    if depth >= reference.DEEPEST:
        out.size = mark
    elif is_parameter:
        reserve(out, 1)
        seal(out)
        bar = find_byte(out.data, mark, out.size, c"|")
        start = after_space(out.data, bar + 1, out.size) if bar >= 0 else out.size
        out.size = before_space(out.data, start, out.size)
        memmove(out.data + mark, out.data + start, out.size - start)
        out.size -= start - mark
    else:
        reader.template(out, mark)
    if out.size == mark or (out.size == mark + 1 and out.data[mark] == 0):
        reader.counts[TEMPLATES] += 1
        out.size = mark
        put_byte(out, 0)
    else:
        before = opened.begin + opened.width
        reserve(out, 1)
        seal(out)
        if before and s[before - 1] != c"\n" and is_line_markup(out.data + mark):
            memmove(out.data + mark + 1, out.data + mark, out.size - mark)
            out.data[mark] = c"\n"
            out.size += 1
    if opened.width == 1:
        reserve(out, 1)
        memmove(out.data + mark + 1, out.data + mark, out.size - mark)
        out.data[mark] = c"{"
        out.size += 1
    return 0


cdef inline bint is_line_markup(const byte* s) noexcept:
    return s[0] == c"*" or s[0] == c"#" or s[0] == c":" or s[0] == c";" or (s[0] == c"{" and s[1] == c"|")


cdef int finish_templates(Reader reader, Buffer* out, Py_ssize_t depth, const byte* rest, Py_ssize_t length) except -1:
    """Add the end of the text, and the braces that nothing has closed; bars that templates showed become bars."""
    cdef Py_ssize_t i, at, position = 0
    cdef Buffer* copy = &reader.labels[0]
    put(out, rest, length)
    if depth:
        copy.size = 0
        put(copy, out.data, out.size)
        out.size = 0
        for i in range(depth):
            put(out, copy.data + position, reader.opened_at[i].mark - position)
            position = reader.opened_at[i].mark
            reserve(out, reader.opened_at[i].width)
            memset(out.data + out.size, c"{", reader.opened_at[i].width)
            out.size += reader.opened_at[i].width
        put(out, copy.data + position, copy.size - position)
    at = find_byte(out.data, 0, out.size, 3)
    while at >= 0:
        out.data[at] = c"|"
        at = find_byte(out.data, at + 1, out.size, 3)
    return 0


cdef int decode_characters(Reader reader) except -1:
    """Decode character references, make tabs and hard spaces plain ones, close the holes."""
    cdef const byte* s = reader.s
    cdef const byte* new
    cdef Py_ssize_t length, at = 0, n = reader.n
    cdef Py_ssize_t piece = 0  # where the last piece that a hole has parted begins in `out`
    cdef Py_ssize_t segment = -1  # where that after the hole begins which is now being read, -1 before the first
    cdef Buffer* out = reader.spare
    cdef bytes decoded
    out.size = 0
    while True:
        at = copy_until_entity(s, at, n, out)
        if s[at] == 0xC2:
            put_byte(out, c" ")
            at += 2
        elif s[at] == c"\t":
            put_byte(out, c" ")
            at += 1
        elif s[at] == c"&":
            if starts(s + at, "&nbsp;"):
                put_byte(out, c" ")
                at += 6
            else:
                length = candidate(s + at)
                decoded = decoded_reference(s + at, length) if length else None
                if decoded is None:
                    put_byte(out, c"&")
                    at += 1
                else:
                    put_bytes(out, decoded)
                    at += length
        else:
            if segment >= 0:
                piece = close_hole(out, piece, segment)
            if at >= n:
                break
            segment = out.size
            at += 1
    reader.turn()
    return 0


cdef inline Py_ssize_t copy_until_entity(const byte* s, Py_ssize_t at, Py_ssize_t n, Buffer* out) except -1:
    """Add s[at:n] up to what is white space, a hole or a reference; return where that stands, else `n`."""
    cdef unsigned int found
    cdef sixteen x
    cdef byte* written
    reserve(out, n - at)
    written = out.data + out.size - at
    while at + 16 <= n:
        x = load16(s + at)
        store16(written + at, x)
        found = either16(x, c"&", 0xC2) | at_most16(x, 9)
        while found:
            if stops_entity(s + at + low_bit(found)):
                at += low_bit(found)
                out.size = written + at - out.data
                return at
            found &= found - 1
        at += 16
    while at < n and not stops_entity(s + at):
        written[at] = s[at]
        at += 1
    out.size = written + at - out.data
    return at


cdef inline bint stops_entity(const byte* s) noexcept:
    return CLASS[s[0]] & STOPS_ENTITY and (s[0] != 0xC2 or s[1] == 0xA0)


cdef Py_ssize_t candidate(const byte* s) noexcept:
    """Return the length of what may be a character reference, from its "&" to its ";"; else 0."""
    cdef Py_ssize_t length = 1
    while length < 40 and s[length] > 32 and s[length] != c"&":
        if s[length] == c";":
            return length + 1
        length += 1
    return 0


cdef dict _decoded = {}


cdef bytes decoded_reference(const byte* s, Py_ssize_t length):
    """Return what the reference stands for, None if it is none."""
    cdef bytes key = PyBytes_FromStringAndSize(<const char*>s, length)
    if key not in _decoded:
        if len(_decoded) > 10_000:
            _decoded.clear()
        found = reference._ENTITY.fullmatch(key.decode("utf-8", "surrogatepass"))
        _decoded[key] = reference._decode(found).encode("utf-8", "surrogatepass") if found else None
    return _decoded[key]


cdef int FARTHEST = reference.FARTHEST

# Characters beside a hole: ASCII ones by table, the wide ones of East Asia by their three bytes.
cdef enum:
    SEPARATOR = 1  # " ,;:、，；："
    OPENING = 2  # "(（"
    CLOSING = 4  # ")）"
    FOLLOWING = 8  # ")）.,;。，；、"


cdef inline int role_at(const byte* s, int* length) noexcept:
    """Return what the character is, and its length; 0 for all others."""
    length[0] = 1
    if s[0] == c" " or s[0] == c":":
        return SEPARATOR
    if s[0] == c"," or s[0] == c";":
        return SEPARATOR | FOLLOWING
    if s[0] == c"(":
        return OPENING
    if s[0] == c")":
        return CLOSING | FOLLOWING
    if s[0] == c".":
        return FOLLOWING
    length[0] = 3
    if s[0] == 0xEF and s[1] == 0xBC:
        if s[2] == 0x88:
            return OPENING
        if s[2] == 0x89:
            return CLOSING | FOLLOWING
        if s[2] == 0x8C or s[2] == 0x9B:
            return SEPARATOR | FOLLOWING
        if s[2] == 0x9A:
            return SEPARATOR
    elif s[0] == 0xE3 and s[1] == 0x80:
        if s[2] == 0x81:
            return SEPARATOR | FOLLOWING
        if s[2] == 0x82:
            return FOLLOWING
    return 0


cdef inline int role_before(const byte* s, Py_ssize_t start, Py_ssize_t end, int* length) noexcept:
    """Return what the character is that ends at `end`, and its length."""
    if end <= start:
        return 0
    if s[end - 1] < 0x80:
        return role_at(s + end - 1, length)
    return role_at(s + end - 3, length) if end - start >= 3 and s[end - 3] >= 0xE0 else 0


cdef inline Py_ssize_t without_separators(const byte* s, Py_ssize_t start, Py_ssize_t end, bint lines) noexcept:
    """Return where s[start:end] ends without the separators, and perhaps line ends, behind it."""
    cdef int length
    while end > start:
        if lines and s[end - 1] == c"\n":
            end -= 1
        elif role_before(s, start, end, &length) & SEPARATOR:
            end -= length
        else:
            break
    return end


cdef inline Py_ssize_t behind_separators(const byte* s, Py_ssize_t start, Py_ssize_t end, bint lines) noexcept:
    """Return where s[start:end] begins without the separators, and perhaps line ends, before it."""
    cdef int length
    while start < end:
        if lines and s[start] == c"\n":
            start += 1
        elif role_at(s + start, &length) & SEPARATOR:
            start += length
        else:
            break
    return start


cdef inline Py_ssize_t back(const byte* s, Py_ssize_t start, Py_ssize_t end, int num_characters) noexcept:
    """Return where the last characters of s[start:end] begin."""
    cdef Py_ssize_t begun
    while end - start >= 16:
        begun = num_points16(load16(s + end - 16))
        if begun >= num_characters:
            break
        end -= 16
        num_characters -= begun
    while end > start and num_characters:
        end = character_before(s, start, end)
        num_characters -= 1
    return end


cdef Py_ssize_t close_hole(Buffer* out, Py_ssize_t piece, Py_ssize_t segment) except -1:
    """Mend what stands on either side of a hole: out[piece:segment], which is kept so far, and what follows it.

    Return where the last piece now begins.
    """
    cdef byte* s = out.data
    cdef Py_ssize_t end = out.size, before = segment, after = segment, bare, following, first
    cdef int length, first_length, role
    cdef bint blank, follows
    reserve(out, 1)
    s = out.data
    seal(out)
    first = after
    while first < end and s[first] == c" ":
        first += 1
    blank = first == end
    follows = first - after < 2 and first < end and role_at(s + first, &length) & FOLLOWING
    role = role_before(s, piece, before, &length)
    if not (before == piece or role & (SEPARATOR | OPENING) or blank or follows):
        return segment
    piece = back(s, piece, before, FARTHEST)
    bare = without_separators(s, piece, before, True)
    role = role_before(s, piece, bare, &length)
    if role & OPENING:
        following = behind_separators(s, after, end, True)
        if following >= end or not role_at(s + following, &first_length) & CLOSING:
            return join(out, bare, following, piece)
        before = bare - length
        after = following + first_length
        first = after
        while first < end and s[first] == c" ":
            first += 1
        blank = first == end
        follows = first - after < 2 and first < end and role_at(s + first, &length) & FOLLOWING
    if blank:
        if after < end and not (before > piece and s[before - 1] == c" "):
            s[before] = c" "
            before += 1
        out.size = before
        return piece
    following = behind_separators(s, after, end, False)
    if following < end and role_at(s + following, &length) & CLOSING:
        return join(out, without_separators(s, piece, before, False), following, piece)
    if follows:
        before = without_separators(s, piece, before, False)
    return join(out, before, after, piece)



cdef Py_ssize_t join(Buffer* out, Py_ssize_t before, Py_ssize_t after, Py_ssize_t piece) noexcept:
    """Move what follows up to what is kept before; return where the last piece begins."""
    cdef Py_ssize_t length = out.size - after
    if after != before:
        memmove(out.data + before, out.data + after, length)
        out.size = before + length
    return before if length else piece


cdef int close_holes(Reader reader) except -1:
    """Close the holes that links to files have left."""
    cdef const byte* s = reader.s
    cdef Py_ssize_t end, position, piece = 0, segment, n = reader.n
    cdef Buffer* out = reader.spare
    end = find_byte(s, 0, n, 0)
    if end < 0:
        return 0
    out.size = 0
    put(out, s, end)
    while end < n:
        position = end + 1
        end = find_byte(s, position, n, 0)
        if end < 0:
            end = n
        segment = out.size
        put(out, s + position, end - position)
        piece = close_hole(out, piece, segment)
    reader.turn()
    return 0
