/* Strings as grammars: any text, a pattern, a format, with limits on their length; see grammar_schema_parts.h.
 * A pattern speaks of characters, the grammar of JSON text. So a pattern is made into nodes first, and then rewritten: what JSON cannot
 * hold raw becomes its escapes. Lengths count characters, so they join a pattern only where it has one part that may
 * repeat. */
#include "engine/grammar_schema_parts.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* ---- characters ---- */

static const char escapes_of[] = "\"\"\\\\//\bb\ff\nn\rr\tt"; /* a character and the letter behind its backslash */

static hn_grammar_node hex_class(hn_gschema *c, const char *pairs) {
    hn_code_range ranges[8];
    size_t n = 0;
    for (; pairs[0]; pairs += 2) ranges[n++] = (hn_code_range){(uint32_t)pairs[0], (uint32_t)pairs[1]};
    return hn_grammar_class(c->b, ranges, n, false);
}

/* \uXXXX for a character from U+0001 that is no surrogate, or a pair of surrogates. */
static hn_grammar_node any_hex_escape(hn_gschema *c) {
    hn_grammar_node h = hex_class(c, "09AFaf"), not_zero = hex_class(c, "19AFaf"), zero = hn_gschema_lit(c, "0");
    hn_grammar_node d = hex_class(c, "DDdd"), low_7 = hex_class(c, "07"), u = hn_gschema_lit(c, "\\u");
    hn_grammar_node not_d = hex_class(c, "19ACEFacef");
    hn_grammar_node nodes[] = {
        hn_gschema_seq(c, 4, not_d, h, h, h),
        hn_gschema_seq(c, 4, d, low_7, h, h),
        hn_gschema_seq(c, 4, zero, not_zero, h, h),
        hn_gschema_seq(c, 4, zero, zero, not_zero, h),
        hn_gschema_seq(c, 4, zero, zero, zero, not_zero),
        hn_gschema_seq(c, 8, d, hex_class(c, "89ABab"), h, h, u, d, hex_class(c, "CFcf"), hn_gschema_seq(c, 2, h, h)),
    };
    return hn_gschema_seq(c, 2, u, hn_grammar_choice(c->b, nodes, 6));
}

/* One character of a JSON string, as it is or escaped. */
static hn_grammar_node character(hn_gschema *c) {
    if (c->character != HN_GRAMMAR_BAD) return c->character;
    static const hn_code_range special[] = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
    hn_grammar_node raw = hn_grammar_class(c->b, special, 3, true);
    hn_grammar_node letter = hex_class(c, "\"\"\\\\//bbffnnrrtt");
    hn_grammar_node escape = hn_gschema_seq(c, 2, hn_gschema_lit(c, "\\"), letter);
    c->character = hn_gschema_either(c, 3, raw, escape, any_hex_escape(c));
    return c->character;
}

hn_grammar_node hn_gschema_text(hn_gschema *c, int64_t min, int64_t max) {
    hn_grammar_node quote = hn_gschema_lit(c, "\"");
    return hn_gschema_seq(c, 3, quote, hn_grammar_repeat(c->b, character(c), min, max), quote);
}

/* ---- nodes inside a string ---- */

static hn_grammar_node escaped_character(hn_gschema *c, uint32_t cp) {
    char text[16];
    const char *known = NULL;
    for (size_t i = 0; escapes_of[i]; i += 2)
        if ((unsigned char)escapes_of[i] == cp && cp != '/') known = &escapes_of[i + 1];
    if (known)
        snprintf(text, sizeof text, "\\%c", *known);
    else if (cp < 0x20)
        snprintf(text, sizeof text, "\\u%04x", (unsigned)cp);
    else
        text[hn_utf8_encode(cp, text)] = 0;
    return cp ? hn_gschema_lit(c, text) : hn_grammar_nothing(c->b); /* NUL is not written */
}

static hn_grammar_node escaped_bytes(hn_gschema *c, uint32_t first, uint32_t n) {
    hn_grammar_node all = hn_grammar_empty(c->b);
    for (uint32_t i = 0; i < n && !hn_gschema_failed(c);) {
        uint32_t cp;
        i += (uint32_t)hn_utf8_decode(c->b->bytes + first + i, n - i, &cp);
        all = hn_gschema_seq(c, 2, all, escaped_character(c, cp));
    }
    return all;
}

static hn_grammar_node escaped_class(hn_gschema *c, uint32_t first, uint32_t n) {
    hn_code_range *ranges = hn_calloc((size_t)n + 4, sizeof *ranges);
    hn_grammar_node all = hn_grammar_nothing(c->b);
    size_t n_raw = 0;
    if (!ranges) return hn_gschema_no_memory(c);
    for (uint32_t i = 0; i < n; i++) {
        hn_code_range r = c->b->ranges[first + i];
        for (uint32_t cp = r.first; cp <= r.last && cp <= '\\'; cp++) /* special characters one by one */
            if (cp < 0x20 || cp == '"' || cp == '\\') all = hn_gschema_either(c, 2, all, escaped_character(c, cp));
    }
    if (n) memcpy(ranges, c->b->ranges + first, n * sizeof *ranges);
    /* raw = class minus the special ones: both negated, joined, negated */
    hn_code_range *outside = hn_calloc((size_t)n + 8, sizeof *outside);
    if (outside) {
        size_t n_outside = hn_code_ranges_negate(ranges, n, outside);
        outside[n_outside++] = (hn_code_range){0, 0x1F};
        outside[n_outside++] = (hn_code_range){'"', '"'};
        outside[n_outside++] = (hn_code_range){'\\', '\\'};
        n_raw = hn_code_ranges_normalize(outside, n_outside);
        all = hn_gschema_either(c, 2, all, hn_grammar_class(c->b, outside, n_raw, true));
    } else {
        all = hn_gschema_no_memory(c);
    }
    hn_free(ranges);
    hn_free(outside);
    return all;
}

hn_grammar_node hn_gschema_escaped(hn_gschema *c, hn_grammar_node node) {
    if (hn_gschema_failed(c) || node < 0) return HN_GRAMMAR_BAD;
    hn_gnode n = c->b->nodes[node]; /* a copy: the array may move */
    switch (n.kind) {
    case HN_GNODE_BYTES: return escaped_bytes(c, n.first, n.n);
    case HN_GNODE_CLASS: return escaped_class(c, n.first, n.n);
    case HN_GNODE_REPEAT: return hn_grammar_repeat(c->b, hn_gschema_escaped(c, (hn_grammar_node)n.first), n.min, n.max);
    case HN_GNODE_SEQUENCE:
    case HN_GNODE_CHOICE: {
        hn_grammar_node *nodes = hn_calloc(n.n ? n.n : 1, sizeof *nodes);
        if (!nodes) return hn_gschema_no_memory(c);
        for (uint32_t i = 0; i < n.n; i++) nodes[i] = hn_gschema_escaped(c, c->b->children[n.first + i]);
        hn_grammar_node all =
            n.kind == HN_GNODE_CHOICE ? hn_grammar_choice(c->b, nodes, n.n) : hn_grammar_sequence(c->b, nodes, n.n);
        hn_free(nodes);
        return all;
    }
    default: return node; /* empty, nothing; patterns have no rules */
    }
}

/* ---- lengths ---- */

static const int64_t endless = INT64_MAX / 4; /* stands for any number */

typedef struct lengths {
    int64_t min, max; /* characters; endless */
} lengths;

static int64_t times(int64_t a, int64_t b) { return a && b > endless / a ? endless : a * b; }
static int64_t plus(int64_t a, int64_t b) { return a + b > endless ? endless : a + b; }

/* How long the texts of a node can be; min > max: there are none. */
static lengths lengths_of(const hn_gschema *c, hn_grammar_node node) {
    const hn_gnode *n = &c->b->nodes[node];
    lengths all = {0, 0};
    switch (n->kind) {
    case HN_GNODE_EMPTY: return all;
    case HN_GNODE_NOTHING: return (lengths){endless, -1};
    case HN_GNODE_BYTES: all.min = all.max = (int64_t)hn_utf8_count(c->b->bytes + n->first, n->n); return all;
    case HN_GNODE_CLASS: return (lengths){1, 1};
    case HN_GNODE_REPEAT: {
        lengths one = lengths_of(c, (hn_grammar_node)n->first);
        int64_t most = n->max == HN_GRAMMAR_NO_LIMIT ? endless : n->max;
        return (lengths){times(one.min, n->min), one.max > 0 ? times(one.max, most) : 0};
    }
    case HN_GNODE_SEQUENCE:
        for (uint32_t i = 0; i < n->n; i++) {
            lengths part = lengths_of(c, c->b->children[n->first + i]);
            all = (lengths){plus(all.min, part.min), plus(all.max, part.max)};
        }
        return all;
    case HN_GNODE_CHOICE:
        all = (lengths){endless, 0};
        for (uint32_t i = 0; i < n->n; i++) {
            lengths part = lengths_of(c, c->b->children[n->first + i]);
            if (part.min < all.min) all.min = part.min;
            if (part.max > all.max) all.max = part.max;
        }
        return all;
    default: return (lengths){0, endless};
    }
}

/* The texts of `node` of min to max characters; HN_GRAMMAR_BAD without an error: that cannot be said. */
static hn_grammar_node within(hn_gschema *c, hn_grammar_node node, int64_t min, int64_t max);

static hn_grammar_node repeat_within(hn_gschema *c, hn_grammar_node node, int64_t min, int64_t max) {
    hn_gnode n = c->b->nodes[node];
    lengths one = lengths_of(c, (hn_grammar_node)n.first);
    if (one.min != one.max || one.min < 1) return HN_GRAMMAR_BAD;
    int64_t low = (min + one.min - 1) / one.min, high = max / one.min;
    if (low < n.min) low = n.min;
    if (n.max != HN_GRAMMAR_NO_LIMIT && high > n.max) high = n.max;
    if (low > high) return hn_grammar_nothing(c->b);
    return hn_grammar_repeat(c->b, (hn_grammar_node)n.first, low,
                             high >= endless / one.min ? HN_GRAMMAR_NO_LIMIT : high);
}

/* All parts but one have a fixed length: that one gets what is left. */
static hn_grammar_node sequence_within(hn_gschema *c, hn_grammar_node node, int64_t min, int64_t max) {
    hn_gnode n = c->b->nodes[node];
    int64_t fixed = 0;
    uint32_t at = n.n;
    for (uint32_t i = 0; i < n.n; i++) {
        lengths part = lengths_of(c, c->b->children[n.first + i]);
        if (part.min == part.max)
            fixed = plus(fixed, part.min);
        else if (at < n.n)
            return HN_GRAMMAR_BAD;
        else
            at = i;
    }
    if (at == n.n) return HN_GRAMMAR_BAD;
    if (fixed > max) return hn_grammar_nothing(c->b);
    hn_grammar_node part =
        within(c, c->b->children[n.first + at], min > fixed ? min - fixed : 0, max >= endless ? endless : max - fixed);
    hn_grammar_node *nodes = part == HN_GRAMMAR_BAD ? NULL : hn_calloc(n.n, sizeof *nodes);
    if (!nodes) return part == HN_GRAMMAR_BAD ? part : hn_gschema_no_memory(c);
    for (uint32_t i = 0; i < n.n; i++) nodes[i] = i == at ? part : c->b->children[n.first + i];
    hn_grammar_node all = hn_grammar_sequence(c->b, nodes, n.n);
    hn_free(nodes);
    return all;
}

static hn_grammar_node choice_within(hn_gschema *c, hn_grammar_node node, int64_t min, int64_t max) {
    hn_gnode n = c->b->nodes[node];
    hn_grammar_node all = hn_grammar_nothing(c->b);
    for (uint32_t i = 0; i < n.n; i++) {
        hn_grammar_node part = within(c, c->b->children[n.first + i], min, max);
        if (part == HN_GRAMMAR_BAD) return part;
        all = hn_gschema_either(c, 2, all, part);
    }
    return all;
}

static hn_grammar_node within(hn_gschema *c, hn_grammar_node node, int64_t min, int64_t max) {
    if (hn_gschema_failed(c) || node < 0) return HN_GRAMMAR_BAD;
    lengths have = lengths_of(c, node);
    if (have.min >= min && have.max <= max) return node;
    if (have.min > max || have.max < min) return hn_grammar_nothing(c->b);
    switch (c->b->nodes[node].kind) {
    case HN_GNODE_REPEAT: return repeat_within(c, node, min, max);
    case HN_GNODE_SEQUENCE: return sequence_within(c, node, min, max);
    case HN_GNODE_CHOICE: return choice_within(c, node, min, max);
    default: return HN_GRAMMAR_BAD;
    }
}

/* ---- formats ---- */

#define DAY_31 "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
#define DAY_30 "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
#define DAY_28 "02-(?:0[1-9]|1[0-9]|2[0-8])"
#define BY_4 "(?:0[48]|[2468][048]|[13579][26])"
#define DATE "(?:[0-9]{4}-(?:" DAY_31 "|" DAY_30 "|" DAY_28 ")|(?:[0-9]{2}" BY_4 "|" BY_4 "00)-02-29)"
#define HOUR_MINUTE "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
#define TIME HOUR_MINUTE ":[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-]" HOUR_MINUTE ")"
#define LABEL "[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,20}){0,2}"
#define HOST "(?:" LABEL "\\.){0,2}" LABEL
#define WORD "[A-Za-z0-9_+-]{1,20}"
#define BYTE "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define H16 "[0-9A-Fa-f]{1,4}"
#define H "[0-9A-Fa-f]"
#define PATH_CHAR "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%" H H ")"

static const char *const formats[][2] = {
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE "T" TIME},
    {"uuid", H "{8}-" H "{4}-" H "{4}-" H "{4}-" H "{12}"},
    {"email", WORD "(?:\\." WORD "){0,2}@(?:" LABEL "\\.){1,2}[A-Za-z]{2,20}"},
    {"hostname", HOST},
    {"ipv4", BYTE "\\." BYTE "\\." BYTE "\\." BYTE},
    {"ipv6", "(?:" H16 ":){7}" H16 "|::(?:" H16 "(?::" H16 "){0,6})?|" H16 "::(?:" H16 "(?::" H16 "){0,5})?|(?:" H16
             ":){2}:(?:" H16 "(?::" H16 "){0,4})?|(?:" H16 ":){3}:(?:" H16 "(?::" H16 "){0,3})?|(?:" H16 ":){4}:(?:" H16
             "(?::" H16 "){0,2})?"},
    {"uri", "https?://" HOST "(?::[0-9]{1,5})?(?:/" PATH_CHAR "*)*(?:\\?(?:" PATH_CHAR "|[/?])*)?(?:#(?:" PATH_CHAR
            "|[/?])*)?"},
};

static const char *format_pattern(const char *format) {
    for (size_t i = 0; format && i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i][0], format) == 0) return formats[i][1];
    return NULL; /* others are annotations, also to the validator */
}

hn_grammar_node hn_gschema_string(hn_gschema *c, const json_t *base, const char *path) {
    const char *pattern = json_string_value(json_object_get(base, "pattern"));
    const char *format = format_pattern(json_string_value(json_object_get(base, "format")));
    int64_t min = hn_gschema_count(base, "minLength", 0), max = hn_gschema_count(base, "maxLength", endless);
    if (min > max) return hn_grammar_nothing(c->b);
    if (!pattern && !format) return hn_gschema_text(c, min, max >= endless ? HN_GRAMMAR_NO_LIMIT : max);
    if (pattern && format)
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, "pattern", "keep one of the two",
                              "`pattern` and `format` together cannot be enforced");
    hn_grammar_node node = hn_grammar_regex(c->b, pattern ? pattern : format, pattern != NULL);
    if (hn_gschema_failed(c)) {
        char where[HN_GSCHEMA_PATH_MAX]; /* the pattern's own error, with its place in the schema */
        hn_gschema_path(where, path, "pattern", NULL);
        hn_error_prefix(&c->b->error, where);
        return HN_GRAMMAR_BAD;
    }
    node = within(c, node, min, max);
    if (node == HN_GRAMMAR_BAD && !hn_gschema_failed(c))
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, min > 0 ? "minLength" : "maxLength",
                              "say the length in the pattern itself, as in ^[a-z]{1,20}$",
                              "a length and this %s together cannot be enforced", pattern ? "`pattern`" : "`format`");
    hn_grammar_node quote = hn_gschema_lit(c, "\"");
    return hn_gschema_seq(c, 3, quote, hn_gschema_escaped(c, node), quote);
}
