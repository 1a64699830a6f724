# Twin of the middle of wikitext.py: tags, links and addresses become plain links and text.

cdef enum:
    GONE = 1  # what becomes of a tag
    LINE
    BLOCK
    SHOWN

cdef dict TAG_FATES = (
    {name.encode(): GONE for name in parsing._INLINE_TAGS}
    | {name.encode(): LINE for name in parsing._LINE_TAGS}
    | {name.encode(): BLOCK for name in parsing._BLOCK_TAGS}
)
cdef int LONGEST_NAME = max(map(len, TAG_FATES))

cdef dict FATES = {
    "article": ARTICLE,
    "file": FILE,
    "category": CATEGORY,
    "interlanguage": INTERLANGUAGE,
    "interwiki": INTERWIKI,
    "other_namespace": OTHER_NAMESPACE,
}


cdef inline Py_ssize_t simple_link(const byte* s, Py_ssize_t at, Py_ssize_t n) noexcept:
    """Return where the plain link ends whose inside begins at `at`, 0 if it is not plain."""
    cdef Py_ssize_t start = at
    if space_at(s + at):
        return 0
    at = skip_to(s, at, n, STOPS_TARGET)
    if at == start:
        return 0
    if s[at] == c"|":
        start = at + 1
        if start >= n or space_at(s + start):
            return 0
        at = label_end(s, start, n, c"<")
        if at == start:
            return 0
    if at + 1 >= n or s[at] != c"]" or s[at + 1] != c"]" or space_before(s, start, at):
        return 0
    return at + 2


cdef Py_ssize_t nested(const byte* s, Py_ssize_t at, Py_ssize_t n, int depth) noexcept:
    """Return how far the inside of a link reaches that begins at `at` and holds links up to `depth` deep."""
    cdef Py_ssize_t end
    while at < n:
        if not CLASS[s[at]] & STOPS_LINK:
            at += 1
            continue
        if s[at] == c"[":
            if at + 1 < n and s[at + 1] == c"[":
                if not depth:
                    return at
                end = nested(s, at + 2, n, depth - 1)
                if end + 1 >= n or s[end] != c"]" or s[end + 1] != c"]":
                    return at
                at = end + 2
            else:
                at += 1
        elif s[at] == c"]":
            if at + 1 < n and s[at + 1] == c"]":
                return at
            at += 1
        else:
            return at
    return n


ctypedef const char* Literal

cdef list SCHEME_TEXTS = [
    *(f"{name}://".encode() for name in parsing._SCHEMES_WITH_HOST),
    *(f"{name}:".encode() for name in parsing._SCHEMES_WITHOUT),
    b"//",
]
cdef Literal[32] SCHEMES


cdef int _know_schemes() except -1:
    cdef int i, num_schemes = len(SCHEME_TEXTS)
    for i in range(num_schemes):
        SCHEMES[i] = PyBytes_AS_STRING(SCHEME_TEXTS[i])
    SCHEMES[num_schemes] = NULL
    return 0


_know_schemes()


cdef Py_ssize_t scheme(const byte* s, Py_ssize_t at, Py_ssize_t n, bint folded) noexcept:
    """Return where the scheme of an address ends that begins at `at`, 0 if there is none."""
    cdef Literal* known = SCHEMES
    cdef Py_ssize_t length
    cdef byte c = s[at]
    if not (c == c"/" or CLASS[c] & IS_ALNUM):
        return 0
    while known[0] != NULL:
        if starts_folded(s + at, known[0]) if folded else starts(s + at, known[0]):
            length = strlen(known[0])
            return at + length if at + length <= n else 0
        known += 1
    return 0


cdef inline bint ends_address(const byte* s) noexcept:
    cdef byte c = s[0]
    return c == c"[" or c == c"]" or c == c"<" or c == c">" or c == c'"' or c == 1 or space_at(s) > 0


cdef Py_ssize_t address(const byte* s, Py_ssize_t at, Py_ssize_t n) noexcept:
    """Return where the address ends that begins at `at`, 0 if there is none."""
    cdef Py_ssize_t start, digits
    at = scheme(s, at, n, True)
    if not at or at >= n:
        return 0
    if s[at] == c"[":
        digits = at + 1
        while digits < n and is_hex(s[digits]):
            digits += 1
        if digits == at + 1 or digits >= n or s[digits] != c"]":
            return 0
        at = digits + 1
    else:
        start = at
        if ends_address(s + at):
            return 0
    while at < n and not ends_address(s + at):
        at += 1
    return at


cdef inline bint is_hex(byte c) noexcept:
    return 48 <= c <= 58 or 65 <= c <= 70 or 97 <= c <= 102 or c == c"."


cdef Py_ssize_t external_label(const byte* s, Py_ssize_t at, Py_ssize_t n, bint* has_markup) noexcept:
    """Return where the label of an external link ends."""
    cdef Py_ssize_t end
    while at < n:
        if s[at] == c"<":
            has_markup[0] = True
            end = at + 1
            while end < n and s[end] != c"<" and s[end] != c">" and s[end] != c"\n":
                end += 1
            at = end + 1 if end < n and s[end] == c">" else at + 1
        elif s[at] == c"[":
            if at + 1 < n and s[at + 1] == c"[":
                end = nested(s, at + 2, n, 1)
                if end + 1 >= n or s[end] != c"]" or s[end + 1] != c"]":
                    return at
                has_markup[0] = True
                at = end + 2
            elif scheme(s, at + 1, n, True):
                return at
            else:
                at += 1
        elif s[at] == c"]" or s[at] == c"\n":
            return at
        else:
            at += 1
    return at


cdef int simplify(Reader reader, const byte* s, Py_ssize_t at, Py_ssize_t n, Buffer* out, int depth) except -1:
    """Rewrite links, tags and external links in s[at:n] to plain links and text, however they are nested."""
    cdef Py_ssize_t position = at, end, label
    cdef bint has_markup
    if depth == MAX_DEPTH:
        raise RecursionError("links are nested deeper than the rules of the parser allow")
    while at < n:
        at = find_either(s, at, n, c"[", c"<")
        if at == n:
            break
        if s[at] == c"<":
            end = tag_end(s, at, n)
            if end:
                put(out, s + position, at - position)
                put_tag(out, s, at, end)
                position = at = end
            else:
                at += 1
            continue
        if at + 1 < n and s[at + 1] == c"[":
            end = simple_link(s, at + 2, n)
            if end:
                at = end if s[at + 2] != c"/" else at + 1
                continue
            end = nested(s, at + 2, n, 2)
            if end + 1 < n and s[end] == c"]" and s[end + 1] == c"]":
                put(out, s + position, at - position)
                label = at + 2
                at = end + 2
                if at < n and s[at] == c"]":
                    at += 1
                    put_link(reader, s, label, end, True, out, depth)
                else:
                    put_link(reader, s, label, end, False, out, depth)
                position = at
                continue
        else:
            end = address(s, at + 1, n)
            if end:
                label = skip_blanks(s, end, n)
                has_markup = False
                end = external_label(s, label, n, &has_markup)
                if end < n and s[end] == c"]":
                    put(out, s + position, at - position)
                    if has_markup:
                        simplify(reader, s, label, end, out, depth + 1)
                    else:
                        put(out, s + label, end - label)
                    position = at = end + 1
                    continue
        at += 1
    return put(out, s + position, n - position)


cdef Py_ssize_t tag_end(const byte* s, Py_ssize_t at, Py_ssize_t n) noexcept:
    """Return where the tag ends whose "<" stands at `at`, 0 if it is none."""
    cdef Py_ssize_t name
    at += 2 if s[at + 1] == c"/" else 1
    if not 65 <= (s[at] & 0xDF) <= 90 or s[at] >= 128:
        return 0
    while CLASS[s[at]] & IS_ALNUM:
        at += 1
    if at >= n or not (s[at] == c">" or s[at] == c"/" or space_at(s + at)):
        return 0
    while at < n and s[at] != c">":
        if s[at] == c"<" or s[at] == 4 or s[at] == 5:
            return 0
        at += 1
    return at + 1 if at < n else 0


cdef int put_tag(Buffer* out, const byte* s, Py_ssize_t start, Py_ssize_t end) except -1:
    """Add what a tag shows: nothing, a break, or itself where it is no tag of HTML."""
    cdef char[32] lower
    cdef int length = 0, fate = SHOWN
    cdef Py_ssize_t at = start + (2 if s[start + 1] == c"/" else 1)
    while CLASS[s[at]] & IS_ALNUM and length <= LONGEST_NAME:
        lower[length] = s[at] | 32 if s[at] >= 65 else s[at]
        length += 1
        at += 1
    if length <= LONGEST_NAME:
        fate = TAG_FATES.get(lower[:length], SHOWN)
    if fate == SHOWN:
        put_stand_in(out, c"<")
        put(out, s + start + 1, end - start - 1)
    elif fate == LINE:
        put_byte(out, c"\n")
    elif fate == BLOCK:
        put_from_outside(out, <const byte*>"\n\n", 2)
    return 0


cdef int put_link(
    Reader reader, const byte* s, Py_ssize_t start, Py_ssize_t end, bint extra, Buffer* out, int depth
) except -1:
    """Add what stands for the link s[start:end] that is not a plain one; `extra` is a third bracket behind it."""
    cdef Py_ssize_t i, at, bar, target_end, title, title_end, name, shown, shown_end, num_open = 0, num_closed = 0
    cdef bint has_links = False, strange = False, has_colon = False, leads_nowhere, blank_label
    cdef int fate = ARTICLE
    if extra:
        for i in range(start, end):
            num_open += s[i] == c"["
            num_closed += s[i] == c"]"
        if num_open > num_closed:
            end += 1
            extra = False
    at = scheme(s, after_space(s, start, end), end, False)
    if at:
        while at < end and s[at] != c"|" and not space_at(s + at):
            at += width(s[at])
        while at < end and (s[at] == c"|" or space_at(s + at)):
            at += space_at(s + at) or 1
        reader.counts[LINKS_EXTERNAL] += 1
        i = out.size
        simplify(reader, s, at, end, out, depth + 1)
        strip_from(out, i)
        return put_byte(out, c"]") if extra else 0
    bar = find_byte(s, start, end, c"|")
    target_end = bar if bar >= 0 else end
    title_end = find_byte(s, start, target_end, c"#")
    if title_end < 0:
        title_end = target_end
    title = after_space(s, start, title_end)
    title_end = before_space(s, title, title_end)
    name = title
    while name < title_end and s[name] == c":":
        name += 1
    name = after_space(s, name, title_end)
    if find_byte(s, title, title_end, c":") >= 0:
        fate = reader.fate(s, title, title_end)
    if fate == FILE:
        reader.counts[LINKS_FILE] += 1
        if bar >= 0 and stands_apart(reader, s, bar + 1, end):
            put_byte(out, c" ")
        put_byte(out, 0)
        return put_byte(out, c"]") if extra else 0
    for i in range(start, target_end):
        strange |= CLASS[s[i]] & IN_TARGET_NEVER != 0
    has_links = find_text(s, start, end, "[[") >= 0
    shown = after_space(s, start, target_end)
    shown_end = before_space(s, shown, target_end)
    while shown < shown_end and s[shown] == c":":
        shown += 1
    shown = after_space(s, shown, shown_end)
    at = shown
    while at < shown_end and s[at] == c"#":
        at += 1
    blank_label = bar < 0 or after_space(s, bar + 1, end) == end
    leads_nowhere = at == shown_end and (shown == shown_end or blank_label)
    if name < title_end and s[title_end - 1] == c":" and fate == OTHER_NAMESPACE:
        leads_nowhere = True
    if has_links or strange or leads_nowhere:
        put_stand_in(out, c"[")
        put_stand_in(out, c"[")
        simplify(reader, s, start, end, out, depth + 1)
        put_stand_in(out, c"]")
        put_stand_in(out, c"]")
        return put_byte(out, c"]") if extra else 0
    if fate == CATEGORY or fate == INTERLANGUAGE:
        reader.counts[LINKS_ARTICLE + fate] += 1
        return put_byte(out, c"]") if extra else 0
    put_label(reader, s, bar, end, title_end - name, name, title_end, shown, shown_end, fate, out, depth)
    return put_byte(out, c"]") if extra else 0


cdef bint stands_apart(Reader reader, const byte* s, Py_ssize_t start, Py_ssize_t end) except -1:
    """Whether a picture with these options ends the words before it."""
    cdef Py_ssize_t bar
    while True:
        bar = find_byte(s, start, end, c"|")
        if bar < 0:
            bar = end
        if reader.is_apart(s + start, bar - start):
            return True
        if bar == end:
            return False
        start = bar + 1


cdef int put_label(
    Reader reader,
    const byte* s,
    Py_ssize_t bar,
    Py_ssize_t end,
    Py_ssize_t name_length,
    Py_ssize_t name,
    Py_ssize_t name_end,
    Py_ssize_t shown,
    Py_ssize_t shown_end,
    int fate,
    Buffer* out,
    int depth,
) except -1:
    """Add a link that leads to an article as a plain link, any other as its text; white space goes outside of it."""
    cdef Buffer* label = &reader.labels[depth]
    cdef const byte* text
    cdef Py_ssize_t start, stop, at, word
    label.size = 0
    if bar >= 0:
        simplify(reader, s, bar + 1, end, label, depth + 1)
    reserve(label, 0)
    seal(label)
    text = label.data
    start = after_space(text, 0, label.size)
    stop = before_space(text, start, label.size)
    cdef bint head = start > 0, tail = stop < label.size
    if start == stop:
        if label.size:
            reader.counts[LINKS_EMPTY_ANCHOR] += 1
            return put_byte(out, c" ")
        text, start, stop, head, tail = s, shown, shown_end, False, False
    if head:
        put_byte(out, c" ")
    if fate == ARTICLE and name_length:
        put_from_outside(out, <const byte*>"[[", 2)
        put(out, s + name, name_end - name)
        put_byte(out, c"|")
        at = start
        while at < stop:
            word = at
            while at < stop and not space_at(text + at):
                at += width(text[at])
            put_anchor(out, text, word, at)
            at = after_space(text, at, stop)
            if at < stop:
                put_byte(out, c" ")
        put_from_outside(out, <const byte*>"]]", 2)
    else:
        reader.counts[LINKS_ARTICLE + fate if name_length else LINKS_SAME_PAGE] += 1
        put_anchor(out, text, start, stop)
    if tail:
        put_byte(out, c" ")
    return 0


cdef int put_anchor(Buffer* out, const byte* s, Py_ssize_t start, Py_ssize_t end) except -1:
    """Add s[start:end] with stand-ins for its brackets."""
    cdef Py_ssize_t at, position = start
    for at in range(start, end):
        if s[at] == c"[" or s[at] == c"]":
            put(out, s + position, at - position)
            put_stand_in(out, s[at])
            position = at + 1
    return put(out, s + position, end - position)


cdef int strip_from(Buffer* out, Py_ssize_t start) except -1:
    """Take the white space away on both sides of out[start:]."""
    cdef Py_ssize_t first
    reserve(out, 0)
    seal(out)
    first = after_space(out.data, start, out.size)
    out.size = before_space(out.data, first, out.size)
    if first > start:
        memmove(out.data + start, out.data + first, out.size - first)
        out.size -= first - start
    return 0
