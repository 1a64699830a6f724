# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled twin of `wikitext`, `preprocess` and `columns`: the same output, about ten times as fast.

    parser.parse(wikitext)              goes through Reader.parse, where this module was built
    columns(parser).add(raw, True)      goes through Columns.add: no Python object for a link, none for a text

The rules are set in Python; here is the same chain of steps, function by function under the same names, over UTF-8
(all markup is ASCII) and buffers that are kept from page to page. What is rare or data stays Python and is called:
filters and functions of templates (their patterns are filled here), `<nowiki>`, `<poem>` and `<pre>`, switches,
`<table>`, language variants, namespaces; answers that a page cannot change are remembered. `tables="rows"` and
captions are read in Python altogether.
Whoever changes a rule there changes it here: tests/wikimedia/test_kernel.py, tests/real/test_kernel_real.py and
benchmarks/fuzz.py hold the two together.

Speed in MB of wikitext a CPU second, by `benchmarks/extraction.py` on a quiet machine: columns from XML, English 265,
Greek 294; Parsed objects 236 and 178; plain Python 15 to 23. Bytes are looked at sixteen at a time (_buffers.pxi). In
English a third of the time is still Python's: filters and functions of templates.
Cython's checks of bounds are on and cost nothing, since the steps read through pointers, which no such check watches.
What keeps these inside: every step knows its end, looking ahead stops at the zero bytes behind every buffer, all
writing reserves first, and reading sixteen bytes goes at most as far as the padding. benchmarks/fuzz.py with
AddressSanitizer is the test of that.
"""

import re
from collections import Counter

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_AsString, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.limits cimport INT_MAX
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove, memset, strlen

from lingraft.wikimedia import page_xml, patterns
from lingraft.wikimedia import preprocess as reference
from lingraft.wikimedia import wikitext as parsing
from lingraft.wikimedia.columns import Batch


cdef extern from "Python.h":
    bint Py_UNICODE_ISALNUM(unsigned int)
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL


include "_buffers.pxi"

cdef enum:
    MAX_TAGS = 64
    MAX_DEPTH = 16
    LONGEST_HEAD = 300
    LONGEST_OPTION = 60
    ARTICLE = 0  # where a link leads
    FILE
    CATEGORY
    INTERLANGUAGE
    INTERWIKI
    OTHER_NAMESPACE

cdef enum:
    TEMPLATES
    TABLES
    TABLES_UNCLOSED
    STRAY_TABLE_ROWS
    LINKS_EXTERNAL
    LINKS_SAME_PAGE
    LINKS_EMPTY_ANCHOR
    LINKS_ARTICLE
    LINKS_FILE
    LINKS_CATEGORY
    LINKS_INTERLANGUAGE
    LINKS_INTERWIKI
    LINKS_OTHER_NAMESPACE
    NUM_COUNTS

cdef list COUNTED = [
    "templates",
    "tables",
    "tables_unclosed",
    "stray_table_rows",
    "links_external",
    "links_same_page",
    "links_empty_anchor",
    "links_article",
    "links_file",
    "links_category",
    "links_interlanguage",
    "links_interwiki",
    "links_other_namespace",
]


cdef class Reader:
    """Reads the pages of one wiki, one after the other, in memory that it keeps."""

    cdef object parser, trail_pattern, prefix_pattern, drops
    cdef bint has_trail, has_prefix, trail_by_letter, has_boundaries
    cdef object seen, known_templates, switches
    cdef dict heads
    cdef Py_ssize_t num_listed
    cdef bint has_variants, busy
    cdef Opened* opened_at
    cdef Py_ssize_t room_for_opened
    cdef dict fates, options
    cdef bytearray trail_letters, prefix_letters
    cdef Buffer first, second
    cdef Buffer* spare
    cdef const byte* s  # what the next step reads, s[:n]; a zero byte or more behind it
    cdef Py_ssize_t n
    cdef Buffer[MAX_DEPTH + 1] labels
    cdef Ints opened, headings
    cdef Table* tables
    cdef Py_ssize_t num_tables, room_for_tables
    cdef Py_ssize_t[NUM_COUNTS] counts
    cdef Py_ssize_t[MAX_TAGS] tags
    # The page that was read last.
    cdef Buffer text, targets, names
    cdef Py_ssize_t points
    cdef Ints starts, ends, target_ends
    cdef Ints named  # index of a link, and where its name ends in `names`
    cdef Section* sections
    cdef Py_ssize_t num_sections, room_for_sections

    def __init__(self, parser):
        site = parser.site
        self.parser = parser
        self.known_templates = parser.templates
        self.switches = parser._switches
        self.has_variants = site.lang in reference.VARIANT_LANGUAGES
        self.fates = {}
        self.heads = {}
        self.options = {}
        self.has_trail = bool(site.link_trail)
        self.trail_pattern = re.compile(site.link_trail)
        self.trail_by_letter = re.fullmatch(r"\[[^\[\]]+\]\+", site.link_trail) is not None
        self.has_prefix = bool(site.link_prefix_letters)
        self.prefix_pattern = re.compile(f"[{site.link_prefix_letters}]") if self.has_prefix else None
        self.trail_letters = bytearray(0x10000)
        self.prefix_letters = bytearray(0x10000)
        self.spare = &self.first

    def __dealloc__(self):
        cdef int i
        for i in range(MAX_DEPTH + 1):
            free(self.labels[i].data)
        free(self.first.data)
        free(self.second.data)
        free(self.text.data)
        free(self.targets.data)
        free(self.opened.data)
        free(self.headings.data)
        free(self.starts.data)
        free(self.ends.data)
        free(self.target_ends.data)
        free(self.sections)
        free(self.named.data)
        free(self.names.data)
        free(self.opened_at)
        free(self.tables)

    def parse(self, str wikitext, str title=""):
        """Return the page as Parsed."""
        if self.busy:  # by another thread, which Python has let in between two of our steps
            return self.parser.parse_in_python(wikitext, title)
        self.busy = True
        try:
            return self.parse_alone(wikitext, title)
        finally:
            self.busy = False

    cdef object parse_alone(self, str wikitext, str title):
        cdef Py_ssize_t size
        cdef bytes encoded
        cdef const char* data
        self.seen = parsing.Seen(title, flags=self.known_templates.flags_of(title))
        try:
            data = PyUnicode_AsUTF8AndSize(wikitext, &size)
        except UnicodeEncodeError:
            encoded = wikitext.encode("utf-8", "surrogatepass")
            data, size = encoded, len(encoded)
        self.begin(<const byte*>data, size, False)
        self.read()
        return self.parsed()

    cdef int begin(self, const byte* data, Py_ssize_t size, bint escaped) except -1:
        """Let the first step read this UTF-8, which is not ours; only `unescape` takes it without the padding."""
        memset(self.counts, 0, sizeof(self.counts))
        memset(self.tags, 0, sizeof(self.tags))
        self.drops = None
        self.s = data
        self.n = size
        if not escaped:
            self.spare.size = 0
            put_from_outside(self.spare, data, size)
            self.turn()
        return 0

    cdef int read(self) except -1:
        """Read the page, step by step."""
        self.points = self.text.size = self.targets.size = 0
        self.starts.size = self.ends.size = self.target_ends.size = self.num_sections = 0
        self.named.size = self.names.size = 0
        clean_up(self)
        drop_tags(self)
        show_templates(self)
        choose_variants(self)
        decode_characters(self)
        drop_apostrophes(self)
        drop_html_tables(self)
        drop_switches(self)
        read_blocks(self)
        self.spare.size = 0
        simplify(self, self.s, 0, self.n, self.spare, 0)
        self.turn()
        close_holes(self)
        tidy(self)
        take_links(self)
        return close_sections(self)

    cdef inline int turn(self) except -1:
        """Let the next step read what this one has written."""
        reserve(self.spare, 0)
        seal(self.spare)
        self.s = self.spare.data
        self.n = self.spare.size
        self.spare = &self.second if self.spare == &self.first else &self.first
        return 0

    cdef int take_over(self, str text) except -1:
        """Let the next step read what a step in Python has returned."""
        self.spare.size = 0
        put_object(self.spare, text)
        return self.turn()

    cdef str shown(self):
        return text_of(self.s, self.n)

    cdef int own(self, Py_ssize_t size) except -1:
        """Make what was rewritten in place `size` long; it stands in a buffer of ours."""
        cdef Buffer* buffer = &self.second if self.spare == &self.first else &self.first
        buffer.size = self.n = size
        seal(buffer)
        return 0

    cdef object tally(self):
        """Return the counter for what steps in Python drop."""
        if self.drops is None:
            self.drops = Counter()
        return self.drops

    cdef int add_table(self, Py_ssize_t start) except -1:
        cdef Table* tables
        if self.num_tables == self.room_for_tables:
            tables = <Table*>realloc(self.tables, (2 * self.room_for_tables + 64) * sizeof(Table))
            if tables == NULL:
                raise MemoryError
            self.tables = tables
            self.room_for_tables = 2 * self.room_for_tables + 64
        self.tables[self.num_tables].start = start
        self.tables[self.num_tables].closed = False
        self.num_tables += 1
        return 0

    cdef Section* add_section(self) except NULL:
        cdef Section* sections
        if self.num_sections == self.room_for_sections:
            sections = <Section*>realloc(self.sections, (2 * self.room_for_sections + 64) * sizeof(Section))
            if sections == NULL:
                raise MemoryError
            self.sections = sections
            self.room_for_sections = 2 * self.room_for_sections + 64
        self.num_sections += 1
        return &self.sections[self.num_sections - 1]

    cdef int open_template(self, Py_ssize_t depth, Py_ssize_t mark, Py_ssize_t begin, Py_ssize_t width) except -1:
        cdef Opened* opened
        if depth == self.room_for_opened:
            opened = <Opened*>realloc(self.opened_at, (2 * depth + 64) * sizeof(Opened))
            if opened == NULL:
                raise MemoryError
            self.opened_at = opened
            self.room_for_opened = 2 * depth + 64
        self.opened_at[depth].mark = mark
        self.opened_at[depth].begin = begin
        self.opened_at[depth].width = width
        return 0

    cdef int template(self, Buffer* out, Py_ssize_t mark) except -1:
        """Replace out[mark:], the inside of a template, by what it shows."""
        cdef const byte* inside = out.data + mark
        cdef Py_ssize_t length = out.size - mark, bar = find_byte(inside, 0, length, c"|")
        cdef Head head
        cdef str shown
        if bar < 0:
            bar = length
        if bar > LONGEST_HEAD:
            shown = self.known_templates.show(text_of(inside, length), self.seen)
        else:
            key = PyBytes_FromStringAndSize(<const char*>inside, bar)
            head = self.heads.get(key)
            if head is None:
                if len(self.heads) > 100_000:
                    self.heads.clear()
                name = text_of(inside, bar)
                head = self.heads[key] = Head(self.known_templates._find(name), name)
            if head.first_of and show_first(head, out, mark):
                return 0
            if head.constant is not None:
                out.size = mark
                return put_bytes(out, head.constant)
            shown = None
            if head.rule is not None:
                shown = shown_by(head, arguments_of(inside, head.start, length, head.rest), self.seen)
            elif head.is_text:
                shown = f"{{{{{text_of(inside, length)}}}}}"
            elif head.unknown:
                unknown = self.seen.unknown
                unknown[head.unknown] = unknown.get(head.unknown, 0) + 1
        out.size = mark
        if shown is not None:
            put_object(out, shown)
        return 0

    cdef int fate(self, const byte* s, Py_ssize_t start, Py_ssize_t end) except -1:
        """Say where the title s[start:end], which has a colon, leads."""
        cdef Py_ssize_t colon = find_byte(s, start, end, c":")
        if colon == start:
            colon = find_byte(s, start + 1, end, c":")
            if colon < 0:
                return ARTICLE
        key = PyBytes_FromStringAndSize(<const char*>s + start, colon + 1 - start)
        known = self.fates.get(key)
        if known is None:
            if len(self.fates) > 100_000:
                self.fates.clear()
            known = FATES[self.parser._fate(text_of(s + start, end - start))]
            if PyBytes_GET_SIZE(key) <= LONGEST_HEAD:
                self.fates[key] = known
        return known

    cdef bint is_apart(self, const byte* option, Py_ssize_t length) except -1:
        """Whether an option of a picture is one that takes it out of the line."""
        if length > LONGEST_OPTION:
            return self.parser._stands_apart("|" + text_of(option, length))
        key = PyBytes_FromStringAndSize(<const char*>option, length)
        known = self.options.get(key)
        if known is None:
            if len(self.options) > 100_000:
                self.options.clear()
            known = self.options[key] = self.parser._stands_apart("|" + text_of(option, length))
        return known

    cdef Py_ssize_t trail(self, const byte* s, Py_ssize_t start, Py_ssize_t end) except -1:
        """Return where the letters end that belong to the link before s[start:end]."""
        cdef Py_ssize_t stop
        cdef byte c
        if not self.trail_by_letter:
            c = s[start]
            if start >= end or c <= 32 or c == c"[" or c == c"]":
                return start
            stop = start
            while stop < end and s[stop] > 32 and s[stop] != c"[":
                stop += 1
            if stop < end:
                stop += 1
            found = self.trail_pattern.match(text_of(s + start, stop - start))
            return start + len(found[0].encode("utf-8", "surrogatepass")) if found else start
        while start < end and self.is_letter(self.trail_letters, self.trail_pattern, s + start):
            start += width(s[start])
        return start

    cdef Py_ssize_t prefix(self, const byte* s, Py_ssize_t start, Py_ssize_t end) except -1:
        """Return where the letters begin that belong to the link behind s[start:end]."""
        cdef Py_ssize_t before
        while end > start:
            before = character_before(s, start, end)
            if not self.is_letter(self.prefix_letters, self.prefix_pattern, s + before):
                break
            end = before
        return end

    cdef inline bint is_letter(self, bytearray known, object pattern, const byte* s) except -1:
        """Whether the character is one that `pattern` accepts; asked once for each, beyond the BMP each time."""
        cdef unsigned int point = point_at(s)
        if point > 0xFFFF:
            return pattern.match(chr(point)) is not None
        if not known[point]:
            known[point] = 2 if pattern.match(chr(point)) else 1
        return known[point] == 2

    cdef object parsed(self):
        """Return the page that was read last."""
        cdef Py_ssize_t i, start = 0
        cdef Section* section
        cdef list links = [], sections = []
        cdef dict names = {}
        for i in range(self.starts.size):
            target = text_of(self.targets.data + start, self.target_ends.data[i] - start)
            links.append((self.starts.data[i], self.ends.data[i], target))
            start = self.target_ends.data[i]
        start = 0
        for i in range(0, self.named.size, 2):
            names[self.named.data[i]] = text_of(self.names.data + start, self.named.data[i + 1] - start)
            start = self.named.data[i + 1]
        for i in range(self.num_sections):
            section = &self.sections[i]
            heading = text_of(self.text.data + section.heading, section.heading_end - section.heading)
            sections.append((section.start, section.end, section.level, heading))
        drops = counter_of(self.counts, self.tags)
        if self.drops is not None:
            drops.update(self.drops)
        flags = tuple(sorted(self.seen.flags))
        text = text_of(self.text.data, self.text.size)
        return parsing.Parsed(text, links, sections, drops, names, flags, self.seen.unknown)


cdef object counter_of(Py_ssize_t* counts, Py_ssize_t* tags):
    """Return what was dropped, by reason."""
    cdef int i
    drops = Counter()
    for i in range(NUM_COUNTS):
        if counts[i]:
            drops[COUNTED[i]] = counts[i]
    for i in range(NUM_TAGS):
        if tags[i]:
            drops["tag_" + TAG_NAMES[i]] = tags[i]
    return drops


cdef int clean_up(Reader reader) except -1:
    """Make line ends plain and take out the control characters that we use ourselves."""
    cdef const byte* s = reader.s
    cdef Py_ssize_t i = 0, n = reader.n
    cdef sixteen x
    cdef byte c
    cdef byte* out
    while i + 16 <= n:
        x = load16(s + i)
        if at_most16(x, 7) | equal16(x, 13):
            break
        i += 16
    while i < n and s[i] > 7 and s[i] != 13:
        i += 1
    if i == n:
        return 0
    reader.spare.size = 0
    reserve(reader.spare, n)
    out = reader.spare.data
    for i in range(n):
        c = s[i]
        if c == 13:
            if i + 1 < n and s[i + 1] == 10:
                continue
            c = 10
        elif c < 8:
            continue
        out[0] = c
        out += 1
    reader.spare.size = out - reader.spare.data
    return reader.turn()


cdef int choose_variants(Reader reader) except -1:
    if reader.has_variants and find_text(reader.s, 0, reader.n, "-{") >= 0:
        reader.take_over(reference._choose_variants(reader.shown()))
    return 0


cdef int drop_html_tables(Reader reader) except -1:
    cdef Py_ssize_t at = find_byte(reader.s, 0, reader.n, c"<")
    while at >= 0:
        if starts(reader.s + at, "<table") or starts(reader.s + at, "<TABLE"):
            return reader.take_over(parsing._drop_html_tables(reader.shown(), reader.tally()))
        at = find_byte(reader.s, at + 1, reader.n, c"<")
    return 0


cdef int drop_switches(Reader reader) except -1:
    if may_switch(reader.s, reader.n):
        switches = reader.switches
        shown = parsing._SWITCH.sub(lambda found: "" if found[0].casefold() in switches else found[0], reader.shown())
        reader.take_over(shown)
    return 0


cdef bint may_switch(const byte* s, Py_ssize_t n) noexcept:
    """Whether letters stand between two pairs of underscores."""
    cdef Py_ssize_t end, at = find_text(s, 0, n, "__")
    while at >= 0:
        end = at + 2
        while s[end] >= 128 or 65 <= (s[end] & 0xDF) <= 90:
            end += 1
        if end > at + 4 and s[end] == c"_" and s[end + 1] == c"_":
            return True
        at = find_text(s, at + 1, n, "__")
    return False


include "_stand_ins.pxi"
include "_templates.pxi"
include "_preprocess.pxi"
include "_blocks.pxi"
include "_links.pxi"
include "_text.pxi"
include "_columns.pxi"
