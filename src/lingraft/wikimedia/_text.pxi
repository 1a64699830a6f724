# Twin of the end of wikitext.py: white space, text, offsets.

cdef inline Py_ssize_t copy_plain(
    const byte* s, Py_ssize_t at, Py_ssize_t n, byte* out, Py_ssize_t* written
) noexcept:
    """Copy from ink on, sixteen bytes at once, as far as no two of white space stand together, nor one of ours.

    Return where that ends: behind ink.
    """
    cdef unsigned int spaces, special
    cdef sixteen x
    cdef int length
    while at + 17 <= n:
        x = load16(s + at)
        spaces = at_most16(x, 32) | (s[at + 16] <= 32) << 16
        special = at_most16(x, 9) | spaces & spaces >> 1
        store16(out + written[0], x)
        if special:
            length = low_bit(special)
            if length and spaces & 1 << (length - 1):
                length -= 1
            at += length
            written[0] += length
            break
        at += 16
        written[0] += 16
    return at


cdef int tidy(Reader reader) except -1:
    """Drop empty headings and idle boundaries, collapse white space."""
    cdef const byte* s = reader.s
    cdef Py_ssize_t at = 0, n = reader.n, ahead, written = 0
    cdef Py_ssize_t num_breaks = 0
    cdef bint space = False
    cdef byte c
    cdef byte* out
    reader.spare.size = 0
    reserve(reader.spare, n + 64)
    out = reader.spare.data
    while True:
        c = s[at]
        if c > 32:
            if num_breaks:
                if written:
                    out[written] = c"\n"
                    written += 1
                    if num_breaks > 1:
                        out[written] = c"\n"
                        written += 1
                num_breaks = 0
            elif space and written:
                out[written] = c" "
                written += 1
            space = False
            at = copy_plain(s, at, n, out, &written)
            c = s[at]
            while c > 32:
                out[written] = c
                written += 1
                at += 1
                c = s[at]
        if c == c" ":
            space = True
            at += 1
        elif c == c"\n":
            num_breaks += 1
            space = False
            at += 1
        elif c == 0 and at >= n:
            break
        elif c == 1 and not (at >= 2 and s[at - 1] == c"]" and s[at - 2] == c"]" or s[at + 1] == c"[" and s[at + 2] == c"["):
            at += 1
        else:
            if c == 4 and c"1" <= s[at + 1] <= c"6":
                ahead = at + 2
                while s[ahead] == c" " or s[ahead] == c"\n" or s[ahead] == 1:
                    ahead += 1
                if s[ahead] == 5:
                    at = ahead + 1
                    continue
            if num_breaks:
                if written:
                    out[written] = c"\n"
                    written += 1
                    if num_breaks > 1:
                        out[written] = c"\n"
                        written += 1
                num_breaks = 0
            elif space and written:
                out[written] = c" "
                written += 1
            space = False
            out[written] = c
            written += 1
            at += 1
    reader.spare.size = written
    reader.turn()
    return 0


cdef int take_links(Reader reader) except -1:
    """Turn plain links and marked headings into text and offsets."""
    cdef const byte* s = reader.s
    cdef Py_ssize_t at = 0, n = reader.n, end, stop
    cdef byte level
    cdef Section* section = reader.add_section()
    section.start = section.level = section.heading = section.heading_end = 0
    end = find_byte(s, 0, n, 4)
    if end < 0:
        end = n
    reader.has_boundaries = find_byte(s, 0, n, 1) >= 0
    take(reader, s, 0, end)
    while end < n:
        level = s[end + 1] - c"0"
        at = end + 2
        end = find_byte(s, at, n, 4)
        if end < 0:
            end = n
        stop = find_byte(s, at, end, 5)
        if stop < 0:
            stop = end
        join_words(&reader.labels[0], s, at, stop)
        section = reader.add_section()
        section.level = level
        section.heading = reader.text.size
        section.start = reader.points
        take(reader, reader.labels[0].data, 0, reader.labels[0].size)
        section.heading_end = reader.text.size
        section.end = reader.points
        if stop < end:
            take(reader, s, stop + 1, end)
    reserve(&reader.text, 0)
    seal(&reader.text)
    return 0


cdef int close_sections(Reader reader) except -1:
    """Turn headings into nested sections; two characters part a heading from its text, as from the text before."""
    cdef Section* section = reader.sections
    cdef Py_ssize_t[8] opened
    cdef Py_ssize_t i, depth = 0
    section.end = max(0, section[1].start - 2) if reader.num_sections > 1 else reader.points
    for i in range(1, reader.num_sections):
        section = &reader.sections[i]
        while depth and reader.sections[opened[depth - 1]].level >= section.level:
            depth -= 1
            end_section(&reader.sections[opened[depth]], section.start - 2)
        opened[depth] = i
        depth += 1
    while depth:
        depth -= 1
        end_section(&reader.sections[opened[depth]], reader.points)
    return 0


cdef inline void end_section(Section* section, Py_ssize_t end) noexcept:
    """End a section, which up to now spans its heading."""
    cdef Py_ssize_t begin = min(section.end + 2, end)
    if begin < end:
        section.start = begin
        section.end = end
    else:
        section.start = section.end


cdef int join_words(Buffer* out, const byte* s, Py_ssize_t start, Py_ssize_t end) except -1:
    """Put the words of s[start:end] into `out`, one space between two."""
    cdef Py_ssize_t word
    out.size = 0
    start = after_space(s, start, end)
    while start < end:
        word = start
        while start < end and not space_at(s + start):
            start += width(s[start])
        put(out, s + word, start - word)
        start = after_space(s, start, end)
        if start < end:
            put_byte(out, c" ")
    reserve(out, 0)
    seal(out)
    return 0


cdef int take(Reader reader, const byte* s, Py_ssize_t start, Py_ssize_t end) except -1:
    """Add the text of s[start:end] and its links."""
    cdef Py_ssize_t at, last = start, target, bar, close, trail, first
    at = find_byte(s, start, end, c"[")
    while at >= 0:
        close = 0
        if s[at + 1] == c"[":
            target = at + 2
            bar = skip_to(s, target, end, IN_TARGET_NEVER)
            if bar > target:
                close = bar
                if close < end and s[close] == c"|":
                    close = label_end(s, close + 1, end, c"[")
                if close + 1 >= end or s[close] != c"]" or s[close + 1] != c"]":
                    close = 0
        if not close:
            at = find_byte(s, at + 1, end, c"[")
            continue
        first = reader.prefix(s, last, at) if reader.has_prefix else at
        trail = reader.trail(s, close + 2, end) if reader.has_trail else close + 2
        show(reader, s, last, first, True)
        add_int(&reader.starts, reader.points)
        show(reader, s, first, at, False)
        if bar + 1 < close:
            show(reader, s, bar + 1, close, False)
        else:
            show(reader, s, target, bar, False)
        show(reader, s, close + 2, trail, False)
        add_int(&reader.ends, reader.points)
        put_target(reader, s, target, bar)
        last = trail
        at = find_byte(s, last, end, c"[")
    return show(reader, s, last, end, True)


cdef int put_target(Reader reader, const byte* s, Py_ssize_t start, Py_ssize_t end) except -1:
    """Add a target, and the name in another language that a template has put behind it."""
    cdef Py_ssize_t name = find_byte(s, start, end, 2)
    if name >= 0:
        add_int(&reader.named, reader.starts.size - 1)
        put_plain(&reader.names, s, name + 1, end)
        add_int(&reader.named, reader.names.size)
        end = name
    put_plain(&reader.targets, s, start, end)
    return add_int(&reader.target_ends, reader.targets.size)


cdef int show(Reader reader, const byte* s, Py_ssize_t start, Py_ssize_t end, bint between) except -1:
    """Add s[start:end] to the text; what stands between links is shown without boundaries."""
    cdef Py_ssize_t at
    if between and reader.has_boundaries:
        at = find_byte(s, start, end, 1)
        while at >= 0:
            reader.points += put_plain(&reader.text, s, start, at)
            start = at + 1
            at = find_byte(s, start, end, 1)
    reader.points += put_plain(&reader.text, s, start, end)
    return 0


cdef inline Py_ssize_t put_plain(Buffer* out, const byte* s, Py_ssize_t at, Py_ssize_t end) except -1:
    """Add s[at:end] with the characters for which stand-ins stand; return the number of code points."""
    cdef Py_ssize_t points = 0
    while at < end:
        at = copy_text(out, s, at, end, &points)
        if at < end:
            if is_stand_in(s + at):
                put_byte(out, STANDS_FOR[s[at + 2] - 0x90])
            else:
                put(out, s + at, 3)
            points += 1
            at += 3
    return points
