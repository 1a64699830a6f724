# Twin of the first half of wikitext.py: apostrophes and lines.

cdef enum:
    KEPT_APOSTROPHE = 0xFF  # never a byte of UTF-8


cdef int drop_apostrophes(Reader reader) except -1:
    """Take out the marks of bold and italics, in place: of each run, what is left over by threes and then twos."""
    cdef byte* s = <byte*>reader.s
    cdef Py_ssize_t n = reader.n, at, run, position, written
    at = find_text(s, 0, n, "''")
    if at < 0:
        return 0
    keep_apostrophes(s, n, at)
    written = position = at
    while True:
        run = at
        while s[run] == c"'":
            run += 1
        if s[at] == KEPT_APOSTROPHE:
            s[written] = 0xEF
            s[written + 1] = 0xB7
            s[written + 2] = STAND_IN[c"'"]
            written += 3
            position = at + 3  # the two behind it go, so that there is room
        else:
            if (run - at) % 3 == 1:
                s[written] = c"'"
                written += 1
            position = run
        at = find_either(s, position, n, c"'", KEPT_APOSTROPHE)
        memmove(s + written, s + position, at - position)
        written += at - position
        if at >= n:
            break
    reader.own(written)
    return 0


cdef int keep_apostrophes(byte* s, Py_ssize_t n, Py_ssize_t at) noexcept:
    """Mark the apostrophes of text that stand beside the marks of italics."""
    cdef Py_ssize_t start, end
    at = find_text(s, at, n, "'''")
    while at >= 0:
        start = at
        while start > 0 and s[start - 1] != c"\n":
            start -= 1
        end = find_byte(s, at, n, c"\n")
        if end < 0:
            end = n
        keep_in_line(s, start, end, at)
        at = find_text(s, end, n, "'''")
    return 0


cdef int keep_in_line(byte* s, Py_ssize_t start, Py_ssize_t end, Py_ssize_t bold) noexcept:
    """Mark one where bold and italics are both left open: after a letter, else after a word, else after a space."""
    cdef Py_ssize_t at = find_byte(s, start, end, c"'"), run, length, before
    cdef Py_ssize_t after_letter = -1, after_word = -1, after_space_ = -1
    cdef Py_ssize_t num_triples = 0, num_bold = 0, num_italics = 0
    while at >= 0:
        run = at
        while run < end and s[run] == c"'":
            run += 1
        length = run - at
        num_triples += length // 3
        if length >= 5:
            num_bold += 1
            num_italics += 1
        elif length == 2:
            num_italics += 1
        elif length >= 3:
            num_bold += 1
            at = run - 3
            if at > start and s[at - 1] == c" ":
                if after_space_ < 0:
                    after_space_ = at
            else:
                if after_word < 0:
                    after_word = at
                if after_letter < 0 and at > start:
                    before = character_before(s, start, at)
                    if before > start and s[before - 1] == c" ":
                        after_letter = at
        at = find_byte(s, run, end, c"'")
    at = after_letter if after_letter >= 0 else after_word if after_word >= 0 else after_space_
    if num_triples % 2 and num_bold % 2 and num_italics % 2 and at >= 0:
        s[at] = KEPT_APOSTROPHE
    return 0


cdef enum:
    BLANK
    PARAGRAPH
    LIST
    INDENTED


cdef inline Py_ssize_t line_end(const byte* s, Py_ssize_t start, Py_ssize_t n) noexcept:
    cdef Py_ssize_t at = find_byte(s, start, n, c"\n")
    return at if at >= 0 else n


cdef inline Py_ssize_t skip_list(const byte* s, Py_ssize_t start, Py_ssize_t end) noexcept:
    while start < end and CLASS[s[start]] & LIST_OR_SPACE:
        start += 1
    return start


cdef inline Py_ssize_t skip_blanks(const byte* s, Py_ssize_t start, Py_ssize_t end) noexcept:
    while start < end and (s[start] == c" " or s[start] == c"\t"):
        start += 1
    return start


cdef int find_tables(Reader reader) except -1:
    """Match the lines where tables start with the lines where they end."""
    cdef const byte* s = reader.s
    cdef Py_ssize_t n = reader.n, start = 0, end, body, i, heading
    cdef byte c
    reader.num_tables = 0
    reader.opened.size = reader.headings.size = 0
    while start <= n:
        end = line_end(s, start, n)
        c = s[start]
        if start < end and (CLASS[c] & LIST_OR_SPACE or c == c"{" or c == c"|" or c == c"="):
            body = skip_list(s, start, end)
            if s[body] == c"{" and s[body + 1] == c"|":
                add_int(&reader.opened, reader.num_tables)
                reader.add_table(start)
            elif s[body] == c"|" and s[body + 1] == c"}" and s[body + 2] != c"}":
                if reader.opened.size:
                    reader.opened.size -= 1
                    reader.tables[reader.opened.data[reader.opened.size]].end = start
                    reader.tables[reader.opened.data[reader.opened.size]].closed = True
            elif s[start] == c"=" and s[start + 1] == c"=" and reader.opened.size:
                add_int(&reader.headings, start)
        start = end + 1
    heading = reader.headings.size - 1
    for i in range(reader.opened.size - 1, -1, -1):
        start = reader.tables[reader.opened.data[i]].start
        while heading >= 0 and reader.headings.data[heading] > start:
            heading -= 1
        reader.tables[reader.opened.data[i]].end = (
            reader.headings.data[heading + 1] if heading + 1 < reader.headings.size else n + 1
        )
    return 0


cdef inline int add_line(Buffer* out, const byte* s, Py_ssize_t start, Py_ssize_t end, const char* glue) except -1:
    """Add a line of text, behind a blank line, a line break, or (where it goes on with a paragraph) a space."""
    reserve(out, end - start + 2)
    if glue[0] == c" ":
        if out.size:
            out.data[out.size] = c" "
            out.size += 1
    else:
        out.data[out.size] = c"\n"
        out.size += 1
        if glue[1]:
            out.data[out.size] = c"\n"
            out.size += 1
    memcpy(out.data + out.size, s + start, end - start)
    out.size += end - start
    return 0


cdef int read_blocks(Reader reader) except -1:
    """Read the lines: in the result a line break is one, a blank line ends a block, and headings are marked."""
    cdef const byte* s = reader.s
    cdef Py_ssize_t n = reader.n, start = 0, next_line, end, body, table = 0
    cdef int kind = BLANK
    cdef byte c
    cdef Buffer* out = reader.spare
    cdef Py_ssize_t num_listed = 0
    out.size = 0
    reserve(out, n + 64)
    reader.num_tables = 0
    if find_text(s, 0, n, "{|") >= 0:
        find_tables(reader)
    while start <= n:
        end = line_end(s, start, n)
        next_line = end + 1
        c = s[start]
        if start == end:
            kind = BLANK
            start = next_line
            continue
        if not SPECIAL[c]:
            add_line(out, s, start, end, " " if kind == PARAGRAPH else "\n\n")
            kind = PARAGRAPH
            start = next_line
            continue
        if c == c"*" or c == c"#" or c == c":" or c == c";":
            body = skip_list(s, start, end)
            if not (s[body] == c"{" and s[body + 1] == c"|"):
                if body < end:
                    add_item(out, s, start, body, end, "\n" if kind == LIST else "\n\n", &body)
                    kind = LIST
                    if (c == c"*" or c == c"#") and find_text(out.data, body, out.size, "//") < 0:
                        num_listed += num_points(out.data + body, out.size - body)
                start = next_line
                continue
        else:
            body = skip_blanks(s, start, end)
        while table < reader.num_tables and reader.tables[table].start < start:
            table += 1
        if s[body] == c"{" and s[body + 1] == c"|" and table < reader.num_tables and reader.tables[table].start == start:
            reader.counts[TABLES] += 1
            next_line = reader.tables[table].end
            kind = BLANK
            if reader.tables[table].closed:
                start = skip_list(s, next_line, n) + 2  # what stands behind "|}" is a line of its own
                continue
            reader.counts[TABLES_UNCLOSED] += 1
        elif c == c"=" and only_equals(s, start, end):
            kind = BLANK
        elif c == c"=" and add_heading(out, s, start, end):
            kind = BLANK
        elif body == end:
            kind = BLANK
        elif s[body] == c"-" and starts(s + body, "----"):
            while s[body] == c"-":
                body += 1
            add_line(out, s, body, end, "\n\n")
            kind = BLANK
        elif s[body] == c"|" and (s[body + 1] == c"}" or s[body + 1] == c"-" or s[body + 1] == c"+"):
            reader.counts[STRAY_TABLE_ROWS] += 1
            kind = BLANK
        elif c == c" " or c == c"\t":
            add_line(out, s, body, end, "\n" if kind == INDENTED else "\n\n")
            kind = INDENTED
        else:
            add_line(out, s, start, end, " " if kind == PARAGRAPH else "\n\n")
            kind = PARAGRAPH
        start = next_line
    if num_listed >= parsing.LEAST_LISTED and num_listed > parsing.LISTED_SHARE * num_points(out.data, out.size):
        reader.seen.flags.add("list")
    reader.turn()
    return 0


cdef int add_item(
    Buffer* out, const byte* s, Py_ssize_t start, Py_ssize_t body, Py_ssize_t end, const char* glue, Py_ssize_t* added
) except -1:
    """Add an item of a list; where it is `; term : definition`, on two lines. `added` is where it begins in `out`."""
    cdef Py_ssize_t marks = start
    cdef str split
    if find_byte(s, body, end, c":") >= 0:
        while s[marks] == c"*" or s[marks] == c"#" or s[marks] == c":" or s[marks] == c";":
            marks += 1
        if s[marks - 1] == c";":
            add_line(out, s, body, body, glue)
            added[0] = out.size
            return put_object(out, parsing._definition(text_of(s + body, end - body)))
    add_line(out, s, body, end, glue)
    added[0] = out.size - (end - body)
    return 0


cdef bint only_equals(const byte* s, Py_ssize_t start, Py_ssize_t end) noexcept:
    """Whether a line is a heading that was a template."""
    while start < end and (s[start] == c"=" or s[start] == c" "):
        start += 1
    return start == end


cdef bint add_heading(Buffer* out, const byte* s, Py_ssize_t start, Py_ssize_t end) except -1:
    """Mark a heading and return True, or return False where the line is none."""
    cdef Py_ssize_t opening = start, closing, left, right
    cdef byte level
    while end > start and (s[end - 1] == c" " or s[end - 1] == c"\t"):
        end -= 1
    closing = end
    while opening < end and s[opening] == c"=":
        opening += 1
    while closing > start and s[closing - 1] == c"=":
        closing -= 1
    left = min(6, opening - start)
    while left:  # as many as leave something to the title and to the other side
        right = min(6, min(end - closing, end - start - left - 1))
        if right >= 1:
            break
        left -= 1
    if not left:
        return False
    level = min(left, right)
    reserve(out, 5)
    out.data[out.size] = out.data[out.size + 1] = c"\n"
    out.data[out.size + 2] = 4
    out.data[out.size + 3] = c"0" + level
    out.size += 4
    start = after_space(s, start + level, end - level)
    put(out, s + start, before_space(s, start, end - level) - start)
    put_byte(out, 5)
    return True
