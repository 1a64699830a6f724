# Twin of columns.py: many pages as flat buffers, without a Python object for a link.

cdef enum:
    TEXT
    TEXT_OFFSETS
    TARGETS
    HEADINGS
    LEVELS
    NUM_BYTE_COLUMNS

cdef enum:
    CHARACTERS
    WORDS
    LINK_STARTS
    LINK_ENDS
    SECTION_STARTS
    SECTION_ENDS
    LINK_OFFSETS
    TARGET_OFFSETS
    SECTION_OFFSETS
    HEADING_OFFSETS
    NUM_INT_COLUMNS
    FIRST_OFFSETS = LINK_OFFSETS


cdef class Columns:
    """Collects pages as flat buffers; the same interface and the same bytes as columns.Columns."""

    cdef Reader reader
    cdef readonly Py_ssize_t num_chars
    """Characters of text now held."""
    cdef Py_ssize_t num_rows, num_invalid
    cdef Py_ssize_t[NUM_COUNTS] counts
    cdef Py_ssize_t[MAX_TAGS] tags
    cdef Buffer[NUM_BYTE_COLUMNS] bytes
    cdef Ints[NUM_INT_COLUMNS] ints
    cdef object drops, templates
    cdef dict names, flags

    def __init__(self, parser):
        self.reader = Reader(parser)
        self.clear()

    def __dealloc__(self):
        cdef int i
        for i in range(NUM_BYTE_COLUMNS):
            free(self.bytes[i].data)
        for i in range(NUM_INT_COLUMNS):
            free(self.ints[i].data)

    def __len__(self):
        return self.num_rows

    def add(self, wikitext, bint escaped=False, str title=""):
        """Read one page and append a row; return its characters. A page without text (0) gives no row.

        With `escaped` the wikitext is UTF-8 with XML references, as it stands in an export.
        """
        if self.reader.busy:
            raise RuntimeError("columns can be added to by one thread at a time")
        self.reader.busy = True
        try:
            return self.add_alone(wikitext, escaped, title)
        finally:
            self.reader.busy = False

    cdef Py_ssize_t add_alone(self, object wikitext, bint escaped, str title) except -1:
        cdef Reader reader = self.reader
        cdef Py_ssize_t size, i
        cdef const char* data
        if escaped:
            data, size = PyBytes_AsString(wikitext), len(wikitext)
        else:
            data = PyUnicode_AsUTF8AndSize(wikitext, &size)
        reader.seen = parsing.Seen(title, self.templates, reader.known_templates.flags_of(title))
        reader.begin(<const byte*>data, size, escaped)
        if escaped and not unescape(reader):
            self.num_invalid += 1
        reader.read()
        for i in range(NUM_COUNTS):
            self.counts[i] += reader.counts[i]
        for i in range(NUM_TAGS):
            self.tags[i] += reader.tags[i]
        if reader.drops is not None:
            self.drops.update(reader.drops)
        if reader.points:
            self.append()
        return reader.points

    cdef int append(self) except -1:
        """Append the page that was read last."""
        cdef Reader reader = self.reader
        cdef Py_ssize_t i, start = 0, first = self.ints[LINK_STARTS].size, size = self.bytes[TARGETS].size
        cdef Section* section
        put(&self.bytes[TEXT], reader.text.data, reader.text.size)
        put_from_outside(&self.bytes[TEXT_OFFSETS], <const byte*>&self.bytes[TEXT].size, sizeof(Py_ssize_t))
        add_int(&self.ints[CHARACTERS], reader.points)
        add_int(&self.ints[WORDS], num_words(reader.text.data, reader.text.size))
        for i in range(0, reader.named.size, 2):
            self.names[first + reader.named.data[i]] = text_of(
                reader.names.data + start, reader.named.data[i + 1] - start
            )
            start = reader.named.data[i + 1]
        put(&self.bytes[TARGETS], reader.targets.data, reader.targets.size)
        for i in range(reader.starts.size):
            add_int(&self.ints[LINK_STARTS], reader.starts.data[i])
            add_int(&self.ints[LINK_ENDS], reader.ends.data[i])
            add_int(&self.ints[TARGET_OFFSETS], size + reader.target_ends.data[i])
        add_int(&self.ints[LINK_OFFSETS], self.ints[LINK_STARTS].size)
        for i in range(reader.num_sections):
            section = &reader.sections[i]
            add_int(&self.ints[SECTION_STARTS], section.start)
            add_int(&self.ints[SECTION_ENDS], section.end)
            put_byte(&self.bytes[LEVELS], section.level)
            put(&self.bytes[HEADINGS], reader.text.data + section.heading, section.heading_end - section.heading)
            add_int(&self.ints[HEADING_OFFSETS], self.bytes[HEADINGS].size)
        add_int(&self.ints[SECTION_OFFSETS], self.ints[SECTION_STARTS].size)
        if reader.seen.flags:
            self.flags[self.num_rows] = tuple(sorted(reader.seen.flags))
        self.num_rows += 1
        self.num_chars += reader.points
        return 0

    def take(self):
        """Return all rows as a Batch, and start again."""
        drops = counter_of(self.counts, self.tags)
        drops.update(self.drops)
        if self.num_invalid:
            drops["invalid_utf8"] = self.num_invalid
        batch = Batch(
            num_rows=self.num_rows,
            text=bytes_of(&self.bytes[TEXT]),
            text_offsets=bytes_of(&self.bytes[TEXT_OFFSETS]),
            characters=numbers_of(&self.ints[CHARACTERS]),
            words=numbers_of(&self.ints[WORDS]),
            link_offsets=numbers_of(&self.ints[LINK_OFFSETS]),
            link_starts=numbers_of(&self.ints[LINK_STARTS]),
            link_ends=numbers_of(&self.ints[LINK_ENDS]),
            targets=bytes_of(&self.bytes[TARGETS]),
            target_offsets=numbers_of(&self.ints[TARGET_OFFSETS]),
            section_offsets=numbers_of(&self.ints[SECTION_OFFSETS]),
            section_starts=numbers_of(&self.ints[SECTION_STARTS]),
            section_ends=numbers_of(&self.ints[SECTION_ENDS]),
            section_levels=bytes_of(&self.bytes[LEVELS]),
            headings=bytes_of(&self.bytes[HEADINGS]),
            heading_offsets=numbers_of(&self.ints[HEADING_OFFSETS]),
            names=self.names,
            flags=self.flags,
            drops=drops,
            templates=self.templates,
        )
        self.clear()
        return batch

    cdef int clear(self) except -1:
        cdef int i
        cdef Py_ssize_t zero = 0
        self.num_rows = self.num_chars = self.num_invalid = 0
        memset(self.counts, 0, sizeof(self.counts))
        memset(self.tags, 0, sizeof(self.tags))
        for i in range(NUM_BYTE_COLUMNS):
            self.bytes[i].size = 0
        for i in range(NUM_INT_COLUMNS):
            self.ints[i].size = 0
        for i in range(FIRST_OFFSETS, NUM_INT_COLUMNS):
            add_int(&self.ints[i], 0)
        put_from_outside(&self.bytes[TEXT_OFFSETS], <const byte*>&zero, sizeof(Py_ssize_t))
        self.drops, self.templates = Counter(), Counter()
        self.names, self.flags = {}, {}
        return 0


cdef bytes bytes_of(Buffer* buffer):
    return PyBytes_FromStringAndSize(<const char*>buffer.data, buffer.size)


cdef bytes numbers_of(Ints* ints):
    return PyBytes_FromStringAndSize(<const char*>ints.data, ints.size * sizeof(int))


cdef Py_ssize_t num_words(const byte* s, Py_ssize_t n) noexcept:
    """Return the number of words: what is parted by spaces, line ends, or two of these."""
    cdef Py_ssize_t i = 0, count = 1
    while i + 16 <= n:
        count += num_equal16(load16(s + i), c" ")
        i += 16
    while i < n:
        count += s[i] == c" "
        i += 1
    i = find_byte(s, 0, n, c"\n")
    while i >= 0:
        count += 1
        i = find_byte(s, i + (2 if s[i + 1] == c"\n" else 1), n, c"\n")
    return count


cdef bint unescape(Reader reader) except -1:
    """Resolve XML references and line ends, as page_xml.decode; return whether it was valid UTF-8."""
    cdef const byte* s = reader.s
    cdef Py_ssize_t at = 0, end, n = reader.n
    cdef Buffer* out = reader.spare
    out.size = 0
    while True:
        at = copy_until(s, at, n, c"&", c"\r", out)
        if at == n:
            break
        if s[at] == c"\r":
            if s[at + 1] != c"\n":
                put_byte(out, c"\n")
            at += 1
        elif starts(s + at, "&lt;"):
            put_byte(out, c"<")
            at += 4
        elif starts(s + at, "&gt;"):
            put_byte(out, c">")
            at += 4
        elif starts(s + at, "&quot;"):
            put_byte(out, c'"')
            at += 6
        elif starts(s + at, "&amp;"):
            put_byte(out, c"&")
            at += 5
        else:
            end = at + 2 if s[at + 1] == c"#" else at + 1
            while CLASS[s[end]] & IS_ALNUM or s[end] == c"_":
                end += 1
            if s[end] == c";" and s[end - 1] != c"&" and s[end - 1] != c"#":
                put_bytes(out, page_xml._CHARACTERS[PyBytes_FromStringAndSize(<const char*>s + at + 1, end - at - 1)])
                at = end + 1
            else:
                put_byte(out, c"&")
                at += 1
    reader.turn()
    if is_utf8(reader.s, reader.n):
        return True
    reader.take_over(PyBytes_FromStringAndSize(<const char*>reader.s, reader.n).decode(errors="replace"))
    return False
