# Twin of templates.Templates.show and of patterns.py: names are looked up once, parameters are cut, patterns filled.
# Rules that are no patterns, filters and functions are Python. The most frequent patterns, text alone and the first of
# some parameters that is given, need no Python object.

cdef enum:
    MAX_CHOICES = 4


cdef class Head:
    """What is known of what stands before a template's first bar: its rule, what shows nothing, or text."""

    cdef object rule
    cdef str rest, unknown
    cdef bint is_text
    cdef Py_ssize_t start  # of the parameters, in bytes
    cdef tuple parts  # of its pattern, where the rule is one
    cdef bint has_parameters, may_grow
    cdef bytes constant  # what it always shows
    cdef tuple first_of  # it shows the first that is given of these parameters
    cdef int[MAX_CHOICES] numbers  # the same as numbers, 0 for what is none

    def __cinit__(self, found, str head):
        self.rule, self.rest, self.unknown, self.is_text = found.rule, found.rest, found.unknown, found.is_text
        self.start = len(head[: found.start].encode("utf-8", "surrogatepass")) + (found.start > len(head))
        self.first_of = ()
        parts, self.has_parameters, self.may_grow = getattr(found.rule, "pattern", (None, False, False))
        if parts is None:
            return
        self.parts = parts_of(parts)
        if all(isinstance(part, str) for part in parts):
            self.constant = "".join(parts).encode("utf-8", "surrogatepass")
            if not parts or b"[[[[" in self.constant:
                self.constant = None
        elif len(parts) == 1 and isinstance(self.parts[0], Field) and not self.may_grow:
            ways = (<Field>self.parts[0]).ways
            if len(ways) <= MAX_CHOICES and all(len(params) == 1 and not change for params, change in ways):
                self.first_of = tuple(params[0].encode() for params, change in ways)
                for i, (params, _) in enumerate(ways):
                    self.numbers[i] = int(params[0]) if params[0] in _NUMBERS else 0


cdef class Field:
    """A parameter of a pattern: the first of some ways to show one."""

    cdef list ways

    def __cinit__(self, ways):
        self.ways = ways

    cdef object value(self, dict arguments):
        cdef list params
        for params, change in self.ways:
            if len(params) == 1:
                value = arguments.get(params[0])
                if not value or not (<str>value).strip(patterns.BLANK):
                    continue
                value = change(value) if change is not None else value
            else:
                values = [patterns.given(arguments, param) for param in params]
                value = any(values) and (change(*values) if change is not None else values[0])
            if value:
                return value
        return ""


cdef tuple parts_of(list parts):
    return tuple([
        parts_of(part) if isinstance(part, list) else Field(part.ways) if hasattr(part, "ways") else part
        for part in parts
    ])


cdef str fill(tuple parts, dict arguments, object seen, bint* complete, Py_ssize_t* num_filled):
    """Return the text of a pattern; `complete` is whether nothing was missing, `num_filled` counts what was given."""
    cdef list pieces = []
    cdef bint whole
    cdef Py_ssize_t filled
    complete[0] = True
    num_filled[0] = 0
    for part in parts:
        if type(part) is str:
            pieces.append(part)
        elif type(part) is tuple:
            text = fill(part, arguments, seen, &whole, &filled)
            if whole:
                pieces.append(text)
                num_filled[0] += filled
        else:
            value = (<Field>part).value(arguments) if type(part) is Field else part(arguments, seen)
            if value:
                num_filled[0] += 1
            else:
                complete[0] = False
            pieces.append(value)
    return "".join(pieces)


cdef str shown_by(Head head, dict arguments, object seen):
    """Return what a template with a rule shows, None for nothing."""
    cdef bint complete
    cdef Py_ssize_t num_filled
    if head.parts is None:
        return head.rule(arguments, seen)
    if head.may_grow and sum([len(value) for value in arguments.values()]) > patterns.LONGEST_REPEATED:
        return None
    text = fill(head.parts, arguments, seen, &complete, &num_filled)
    if (head.has_parameters and not num_filled) or not text:
        return None
    return text.replace("[[[[", "[[").replace("]]]]", "]]") if "[[[[" in text else text


cdef list _NUMBERS = [str(number) for number in range(100)]


cdef inline str stripped(const byte* s, Py_ssize_t start, Py_ssize_t end):
    start = after_space(s, start, end)
    return text_of(s + start, before_space(s, start, end) - start)


cdef dict arguments_of(const byte* s, Py_ssize_t at, Py_ssize_t end, str rest):
    """Return the parameters in s[at:end] as templates._arguments does."""
    cdef Py_ssize_t stop, equals, number = 0
    cdef bint has_links = find_text(s, at, end, "[[") >= 0
    cdef dict arguments = {"*": rest} if rest else {}
    if at >= end:
        return arguments
    while True:
        stop = parameter_end(s, at, end, has_links)
        equals = equals_sign(s, at, stop, has_links)
        if equals >= 0:
            arguments[stripped(s, at, equals)] = stripped(s, equals + 1, stop)
        else:
            number += 1
            arguments[_NUMBERS[number] if number < 100 else str(number)] = stripped(s, at, stop)
        if stop >= end:
            break
        at = stop + 1
    return arguments


cdef inline Py_ssize_t equals_sign(const byte* s, Py_ssize_t start, Py_ssize_t end, bint has_links) noexcept:
    """Return where the name of a parameter ends, -1 if it has none."""
    cdef Py_ssize_t at = find_byte(s, start, end, c"=")
    return -1 if at >= 0 and has_links and find_text(s, start, at, "[[") >= 0 else at


cdef inline Py_ssize_t parameter_end(const byte* s, Py_ssize_t at, Py_ssize_t end, bint has_links) noexcept:
    """Return where the parameter ends that begins at `at`: at a bar outside of links."""
    if not has_links:
        at = find_byte(s, at, end, c"|")
        return at if at >= 0 else end
    while at < end:
        at = find_either(s, at, end, c"|", c"[")
        if at == end or s[at] == c"|":
            return at
        at = link_end(s, at, end) or at + 1
    return end


cdef Py_ssize_t link_end(const byte* s, Py_ssize_t at, Py_ssize_t end) noexcept:
    """Return where the link ends that begins at `at` and may hold links without others in them, 0 if there is none."""
    cdef Py_ssize_t inner
    if not is_pair(s, at, end, c"["):
        return 0
    at = find_either(s, at + 2, end, c"[", c"]")
    while is_pair(s, at, end, c"["):
        inner = find_either(s, at + 2, end, c"[", c"]")
        if not is_pair(s, inner, end, c"]"):
            return 0
        at = find_either(s, inner + 2, end, c"[", c"]")
    return at + 2 if is_pair(s, at, end, c"]") else 0


cdef inline bint is_pair(const byte* s, Py_ssize_t at, Py_ssize_t end, byte bracket) noexcept:
    return at + 1 < end and s[at] == bracket and s[at + 1] == bracket


cdef bint show_first(Head head, Buffer* out, Py_ssize_t mark) except -1:
    """Replace out[mark:], the inside of a template, by the first of its parameters that is given, and return True.

    False where that has to be left to Python.
    """
    cdef const byte* s = out.data
    cdef Py_ssize_t at = mark + head.start, end = out.size, stop, equals, start = 0, length = 0, number = 0
    cdef Py_ssize_t[MAX_CHOICES] begins, ends
    cdef int i, num_choices = len(head.first_of)
    cdef bint has_links = find_text(s, at, end, "[[") >= 0, chosen
    cdef bytes name
    if has_links and find_text(s, at, end, "[[[[") >= 0:
        return False
    for i in range(num_choices):
        begins[i] = ends[i] = 0
    while at <= end:
        stop = parameter_end(s, at, end, has_links)
        equals = equals_sign(s, at, stop, has_links)
        if equals >= 0:
            start = after_space(s, at, equals)
            length = before_space(s, start, equals) - start
            at = equals + 1
        else:
            number += 1
        for i in range(num_choices):
            if equals >= 0:
                name = head.first_of[i]
                chosen = PyBytes_GET_SIZE(name) == length and memcmp(PyBytes_AS_STRING(name), s + start, length) == 0
            else:
                chosen = number == head.numbers[i]
            if chosen:
                begins[i] = after_space(s, at, stop)
                ends[i] = before_space(s, begins[i], stop)
        at = stop + 1
    out.size = mark
    for i in range(num_choices):
        at = begins[i]
        while at < ends[i] and (s[at] == c" " or s[at] == c"\n" or s[at] == c"\t" or s[at] == 0):
            at += 1
        if at < ends[i]:
            memmove(out.data + mark, out.data + begins[i], ends[i] - begins[i])
            out.size += ends[i] - begins[i]
            break
    return True
