/* Escapes and classes of regular expressions. \d, \w and \s are ECMA-262's: \d and \w are ASCII, \s is its white space
 * and line ends. \p{...} knows the general categories, by utf8proc; scripts and most other properties are errors. */
#include "engine/grammar_regex_parts.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

static const hn_code_range digits[] = {{'0', '9'}};
static const hn_code_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const hn_code_range spaces[] = {{0x09, 0x0D},     {0x20, 0x20},     {0xA0, 0xA0},     {0x1680, 0x1680},
                                       {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                                       {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};

bool hn_code_set_add(hn_regex_reader *r, hn_code_set *set, uint32_t first, uint32_t last) {
    if (!hn_grow((void **)&set->ranges, &set->capacity, set->n + 1, sizeof *set->ranges))
        return hn_regex_bad(r, r->at, HN_ERR_MEMORY, NULL, "no memory for a class of %zu ranges", set->n + 1);
    set->ranges[set->n++] = (hn_code_range){first, last};
    return true;
}

static bool add_all(hn_regex_reader *r, hn_code_set *set, const hn_code_range *ranges, size_t n, bool negated) {
    hn_code_range outside[16];
    if (negated) {
        n = hn_code_ranges_negate(ranges, n, outside);
        ranges = outside;
    }
    for (size_t i = 0; i < n; i++)
        if (!hn_code_set_add(r, set, ranges[i].first, ranges[i].last)) return false;
    return true;
}

uint32_t hn_regex_character(hn_regex_reader *r) {
    uint32_t cp;
    r->at += hn_utf8_decode(r->text + r->at, r->n - r->at, &cp);
    return cp;
}

/* --- numbers of characters --- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Exactly `n` hexadecimal digits at `at`; false: there are others. */
static bool read_hex(const hn_regex_reader *r, size_t at, size_t n, uint32_t *value) {
    *value = 0;
    if (r->n - at < n) return false;
    for (size_t i = 0; i < n; i++) {
        int d = hex_digit(r->text[at + i]);
        if (d < 0) return false;
        *value = *value << 4 | (uint32_t)d;
    }
    return true;
}

static bool read_braced(hn_regex_reader *r, size_t start, uint32_t *value) {
    size_t at = r->at + 1;
    *value = 0;
    for (; at < r->n && hex_digit(r->text[at]) >= 0 && *value <= 0x10FFFF; at++)
        *value = *value << 4 | (uint32_t)hex_digit(r->text[at]);
    if (at >= r->n || r->text[at] != '}' || at == r->at + 1 || *value > 0x10FFFF)
        return hn_regex_bad(r, start, HN_ERR_INPUT, "as \\u{1F600}, at most \\u{10FFFF}",
                            "a character number that is not one");
    r->at = at + 1;
    return true;
}

/* Behind \u: four digits, a pair of surrogates, or braces. */
static bool read_unicode(hn_regex_reader *r, size_t start, uint32_t *value) {
    uint32_t low;
    if (r->at < r->n && r->text[r->at] == '{') return read_braced(r, start, value);
    if (!read_hex(r, r->at, 4, value))
        return hn_regex_bad(r, start, HN_ERR_INPUT, "write \\u00e9 or \\u{e9}", "\\u without four hexadecimal digits");
    r->at += 4;
    if (*value < 0xD800 || *value > 0xDFFF) return true;
    if (*value < 0xDC00 && r->n - r->at >= 6 && r->text[r->at] == '\\' && r->text[r->at + 1] == 'u' &&
        read_hex(r, r->at + 2, 4, &low) && low >= 0xDC00 && low <= 0xDFFF) {
        *value = 0x10000 + ((*value - 0xD800) << 10) + (low - 0xDC00);
        r->at += 6;
    }
    return true; /* a lone surrogate: no text has one, so it matches nothing */
}

/* --- \p --- */

typedef struct category {
    const char *short_name, *long_name;
    uint32_t bits; /* of utf8proc's numbers */
} category;

#define BIT(name) (1u << UTF8PROC_CATEGORY_##name)
static const category categories[] = {
    {"L", "Letter", BIT(LU) | BIT(LL) | BIT(LT) | BIT(LM) | BIT(LO)},
    {"LC", "Cased_Letter", BIT(LU) | BIT(LL) | BIT(LT)},
    {"Lu", "Uppercase_Letter", BIT(LU)},
    {"Ll", "Lowercase_Letter", BIT(LL)},
    {"Lt", "Titlecase_Letter", BIT(LT)},
    {"Lm", "Modifier_Letter", BIT(LM)},
    {"Lo", "Other_Letter", BIT(LO)},
    {"M", "Mark", BIT(MN) | BIT(MC) | BIT(ME)},
    {"Mn", "Nonspacing_Mark", BIT(MN)},
    {"Mc", "Spacing_Mark", BIT(MC)},
    {"Me", "Enclosing_Mark", BIT(ME)},
    {"N", "Number", BIT(ND) | BIT(NL) | BIT(NO)},
    {"Nd", "Decimal_Number", BIT(ND)},
    {"Nl", "Letter_Number", BIT(NL)},
    {"No", "Other_Number", BIT(NO)},
    {"P", "Punctuation", BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO)},
    {"Pc", "Connector_Punctuation", BIT(PC)},
    {"Pd", "Dash_Punctuation", BIT(PD)},
    {"Ps", "Open_Punctuation", BIT(PS)},
    {"Pe", "Close_Punctuation", BIT(PE)},
    {"Pi", "Initial_Punctuation", BIT(PI)},
    {"Pf", "Final_Punctuation", BIT(PF)},
    {"Po", "Other_Punctuation", BIT(PO)},
    {"S", "Symbol", BIT(SM) | BIT(SC) | BIT(SK) | BIT(SO)},
    {"Sm", "Math_Symbol", BIT(SM)},
    {"Sc", "Currency_Symbol", BIT(SC)},
    {"Sk", "Modifier_Symbol", BIT(SK)},
    {"So", "Other_Symbol", BIT(SO)},
    {"Z", "Separator", BIT(ZS) | BIT(ZL) | BIT(ZP)},
    {"Zs", "Space_Separator", BIT(ZS)},
    {"Zl", "Line_Separator", BIT(ZL)},
    {"Zp", "Paragraph_Separator", BIT(ZP)},
    {"C", "Other", BIT(CC) | BIT(CF) | BIT(CS) | BIT(CO) | BIT(CN)},
    {"Cc", "Control", BIT(CC)},
    {"Cf", "Format", BIT(CF)},
    {"Co", "Private_Use", BIT(CO)},
    {"Cn", "Unassigned", BIT(CN)},
    {"Nd", "digit", BIT(ND)},
    {"P", "punct", BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO)},
    {"Any", "Any", UINT32_MAX},
    {"Assigned", "Assigned", ~BIT(CN)},
};
#undef BIT

/* All characters by category, looked up once for each builder: that takes milliseconds, and a schema may hold many patterns. */
static bool find_runs(hn_regex_reader *r) {
    hn_category_run *runs = NULL;
    size_t n = 0, capacity = 0;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        int32_t its = (int32_t)utf8proc_category((utf8proc_int32_t)cp);
        if (n > 0 && runs[n - 1].category == its) {
            runs[n - 1].last = cp;
            continue;
        }
        if (!hn_grow((void **)&runs, &capacity, n + 1, sizeof *runs)) {
            hn_free(runs);
            return hn_regex_bad(r, r->at, HN_ERR_MEMORY, NULL, "no memory for the characters' categories");
        }
        runs[n++] = (hn_category_run){cp, cp, its};
    }
    r->b->runs = runs;
    r->b->n_runs = n;
    return true;
}

static bool add_categories(hn_regex_reader *r, hn_code_set *set, uint32_t bits) {
    if (!r->b->runs && !find_runs(r)) return false;
    for (size_t i = 0; i < r->b->n_runs; i++) {
        const hn_category_run *run = &r->b->runs[i];
        if (bits >> run->category & 1 && !hn_code_set_add(r, set, run->first, run->last)) return false;
    }
    return true;
}

static bool add_property(hn_regex_reader *r, size_t start, hn_code_set *set, bool negated) {
    static const hn_code_range ascii[] = {{0, 0x7F}};
    char name[48];
    size_t from = r->at + 1, to = from;
    while (to < r->n && r->text[to] != '}') to++;
    if (r->at >= r->n || r->text[r->at] != '{' || to >= r->n || to - from >= sizeof name)
        return hn_regex_bad(r, start, HN_ERR_INPUT, "as \\p{L} or \\p{Lu}", "\\p without a property in braces");
    memcpy(name, r->text + from, to - from);
    name[to - from] = 0;
    r->at = to + 1;
    const char *value = name;
    if (strncmp(name, "gc=", 3) == 0)
        value = name + 3;
    else if (strncmp(name, "General_Category=", 17) == 0)
        value = name + 17;
    if (value == name && strcmp(name, "ASCII") == 0) return add_all(r, set, ascii, 1, negated);
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (strcmp(value, categories[i].short_name) == 0 || strcmp(value, categories[i].long_name) == 0)
            return add_categories(r, set, negated ? ~categories[i].bits : categories[i].bits);
    return hn_regex_bad(r, start, HN_ERR_UNSUPPORTED,
                        "use a general category such as \\p{L} or \\p{Nd}, or a class of ranges",
                        "the property \\p{%s} is not known here", name);
}

/* --- escapes --- */

static bool class_escape(hn_regex_reader *r, size_t start, char c, hn_code_set *set) {
    switch (c) {
    case 'd':
    case 'D': return add_all(r, set, digits, 1, c == 'D');
    case 'w':
    case 'W': return add_all(r, set, words, 4, c == 'W');
    case 's':
    case 'S': return add_all(r, set, spaces, sizeof spaces / sizeof *spaces, c == 'S');
    default: return add_property(r, start, set, c == 'P');
    }
}

static bool letter_escape(hn_regex_reader *r, size_t start, char c, bool in_class, uint32_t *single) {
    static const char names[] = "tnvfr", values[] = "\t\n\v\f\r";
    const char *found = strchr(names, c);
    if (found) {
        *single = (unsigned char)values[found - names];
        return true;
    }
    if (c == 'u') return read_unicode(r, start, single);
    if (c == 'x') {
        if (!read_hex(r, r->at, 2, single))
            return hn_regex_bad(r, start, HN_ERR_INPUT, "write \\xe9", "\\x without two hexadecimal digits");
        r->at += 2;
        return true;
    }
    if (c == 'c' && r->at < r->n && ((unsigned char)(r->text[r->at] | 0x20) >= 'a') &&
        ((unsigned char)(r->text[r->at] | 0x20) <= 'z')) {
        *single = (uint32_t)r->text[r->at++] & 31;
        return true;
    }
    if (c == 'b' && in_class) {
        *single = 8;
        return true;
    }
    if (c == 'b' || c == 'B')
        return hn_regex_bad(r, start, HN_ERR_UNSUPPORTED, "write what may stand before and after instead",
                            "\\%c (word boundary) cannot be followed while text is written", c);
    if (c == 'k' || (c >= '1' && c <= '9'))
        return hn_regex_bad(r, start, HN_ERR_UNSUPPORTED, "write the group's expression again",
                            "\\%c (back reference) is not regular", c);
    return hn_regex_bad(r, start, HN_ERR_INPUT, "write the letter without the backslash",
                        "the escape \\%c is not known", c);
}

bool hn_regex_escape(hn_regex_reader *r, bool in_class, hn_code_set *set, uint32_t *single) {
    size_t start = r->at++;
    *single = UINT32_MAX;
    if (r->at >= r->n)
        return hn_regex_bad(r, start, HN_ERR_INPUT, "write \\\\ for a backslash", "a backslash at the end");
    char c = r->text[r->at];
    if (c == '0' && (r->at + 1 >= r->n || r->text[r->at + 1] < '0' || r->text[r->at + 1] > '9')) {
        r->at++;
        *single = 0;
        return true;
    }
    if (c && strchr("dDwWsSpP", c)) {
        r->at++;
        return class_escape(r, start, c, set);
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
        r->at++;
        return letter_escape(r, start, c, in_class, single);
    }
    *single = hn_regex_character(r); /* punctuation stands for itself */
    return true;
}

/* --- classes --- */

/* One member: a character, or a class with *single UINT32_MAX. */
static bool class_member(hn_regex_reader *r, hn_code_set *set, uint32_t *single) {
    if (r->text[r->at] == '\\') return hn_regex_escape(r, true, set, single);
    *single = hn_regex_character(r);
    return true;
}

static bool class_members(hn_regex_reader *r, size_t start, hn_code_set *set) {
    while (r->at < r->n && r->text[r->at] != ']') {
        uint32_t first, last;
        size_t member = r->at;
        if (!class_member(r, set, &first)) return false;
        last = first;
        if (r->n - r->at >= 2 && r->text[r->at] == '-' && r->text[r->at + 1] != ']') {
            r->at++;
            if (!class_member(r, set, &last)) return false;
            if (first == UINT32_MAX || last == UINT32_MAX)
                return hn_regex_bad(r, member, HN_ERR_INPUT, "write \\- for the sign itself",
                                    "a range with a class at one end");
            if (last < first)
                return hn_regex_bad(r, member, HN_ERR_INPUT, "give the smaller character first",
                                    "a range from U+%04X down to U+%04X", (unsigned)first, (unsigned)last);
        }
        if (first != UINT32_MAX && !hn_code_set_add(r, set, first, last)) return false;
    }
    if (r->at >= r->n) return hn_regex_bad(r, start, HN_ERR_INPUT, "close it with ]", "a class that is not closed");
    r->at++;
    return true;
}

hn_grammar_node hn_regex_class(hn_regex_reader *r) {
    size_t start = r->at++;
    hn_code_set set = {0};
    bool negated = r->at < r->n && r->text[r->at] == '^';
    hn_grammar_node node = HN_GRAMMAR_BAD;
    if (negated) r->at++;
    if (class_members(r, start, &set)) node = hn_grammar_class(r->b, set.ranges, set.n, negated);
    hn_free(set.ranges);
    return node;
}
