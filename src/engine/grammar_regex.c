/* Regular expressions to nodes; the syntax is ECMA-262's with /u, as far as it is regular.
 *
 * Anchors say where in the whole text a part may stand, which a tree of nodes cannot: so each part is read as up to four
 * languages, by whether it must begin where the text begins and must end where it ends. A sequence joins each of the
 * left with each of the right; what stands before a ^ or behind a $ can only be empty. At the end, with `searched`, any
 * text may surround the sides that are not anchored. */
#include "engine/grammar_regex_parts.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { AT_START = 1, AT_END = 2, N_SIDES = 4, DEPTH_MAX = 400 };

/* What a part matches, by the sides that it is tied to; `empty`: the empty text is among it. */
typedef struct part {
    hn_grammar_node node[N_SIDES];
    bool some[N_SIDES], empty[N_SIDES];
} part;

bool hn_regex_bad(hn_regex_reader *r, size_t at, hn_status code, const char *hint, const char *fmt, ...) {
    char message[320], where[64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    snprintf(where, sizeof where, "pattern:%zu", hn_utf8_count(r->text, at) + 1);
    (void)hn_grammar_bad(r->b, code, where, hint, "%s", message);
    return false;
}

static part plain(hn_grammar_node node, bool empty) { return (part){.node = {node}, .some = {true}, .empty = {empty}}; }

static void add_alternative(hn_regex_reader *r, part *p, int side, hn_grammar_node node, bool empty) {
    if (p->some[side]) node = hn_grammar_choice(r->b, (hn_grammar_node[]){p->node[side], node}, 2);
    p->empty[side] = (p->some[side] && p->empty[side]) || empty;
    p->node[side] = node;
    p->some[side] = true;
}

static part join(hn_regex_reader *r, const part *left, const part *right) {
    part out = {0};
    if (left->some[0] && right->some[0] && !left->some[1] && !left->some[2] && !left->some[3] && !right->some[1] &&
        !right->some[2] && !right->some[3])
        return plain(hn_grammar_sequence(r->b, (hn_grammar_node[]){left->node[0], right->node[0]}, 2),
                     left->empty[0] && right->empty[0]);
    for (int a = 0; a < N_SIDES; a++)
        for (int b = 0; b < N_SIDES; b++) {
            if (!left->some[a] || !right->some[b]) continue;
            hn_grammar_node x = left->node[a], y = right->node[b];
            bool x_empty = left->empty[a], y_empty = right->empty[b];
            if ((b & AT_START) && !x_empty) continue; /* something before the start of the text */
            if ((a & AT_END) && !y_empty) continue;
            if (b & AT_START) x = hn_grammar_empty(r->b);
            if (a & AT_END) y = hn_grammar_empty(r->b);
            add_alternative(r, &out, a | b, hn_grammar_sequence(r->b, (hn_grammar_node[]){x, y}, 2),
                            x_empty && y_empty);
        }
    return out;
}

static bool is_anchored(const part *p) { return p->some[1] || p->some[2] || p->some[3]; }

/* Rounds without anchors, with a round tied to the start before them and one tied to the end behind them. */
static part repeat(hn_regex_reader *r, const part *p, int64_t min, int64_t max) {
    part body = {0}, out = {0};
    if (!p->some[0] && !is_anchored(p)) {
        if (min == 0) return plain(hn_grammar_empty(r->b), true);
        return *p;
    }
    if (!is_anchored(p)) return plain(hn_grammar_repeat(r->b, p->node[0], min, max), min == 0 || p->empty[0]);
    if (max == 0) return plain(hn_grammar_empty(r->b), true);
    for (int ties = 0; ties < 4; ties++) { /* which of the two tied rounds are there */
        int64_t used = (ties & 1) + (ties >> 1 & 1);
        if (max != HN_GRAMMAR_NO_LIMIT && used > max) continue;
        part all = {0};
        int64_t least = min > used ? min - used : 0, most = max == HN_GRAMMAR_NO_LIMIT ? max : max - used;
        bool can_be_empty = false; /* a tied round that matches nothing can be had as often as is needed */
        for (int side = 1; side < N_SIDES; side++) can_be_empty |= p->some[side] && p->empty[side] && used > 0;
        if (can_be_empty || p->empty[0]) least = 0;
        body = (part){0};
        if (p->some[0])
            body = plain(hn_grammar_repeat(r->b, p->node[0], least, most), least == 0);
        else if (least == 0)
            body = plain(hn_grammar_empty(r->b), true);
        else
            continue;
        part tied = *p;
        tied.some[0] = false;
        all = ties & 1 ? join(r, &tied, &body) : body;
        if (ties & 2) all = join(r, &all, &tied);
        for (int side = 0; side < N_SIDES; side++)
            if (all.some[side]) add_alternative(r, &out, side, all.node[side], all.empty[side]);
    }
    if (min <= 1)
        for (int side = 1; side < N_SIDES; side++)
            if (p->some[side]) add_alternative(r, &out, side, p->node[side], p->empty[side]);
    return out;
}

/* --- reading --- */

static bool read_choice(hn_regex_reader *r, part *out);

static bool read_number(hn_regex_reader *r, size_t *at, int64_t *value) {
    size_t from = *at;
    *value = 0;
    for (; *at < r->n && r->text[*at] >= '0' && r->text[*at] <= '9'; ++*at)
        if (*value <= HN_GRAMMAR_REPEAT_MAX) *value = *value * 10 + (r->text[*at] - '0');
    return *at > from;
}

/* {n}, {n,} or {n,m} at `at`; false: it is not one, and stands for itself. */
static bool read_braces(hn_regex_reader *r, size_t *at, int64_t *min, int64_t *max) {
    size_t i = *at + 1;
    if (!read_number(r, &i, min)) return false;
    *max = *min;
    if (i < r->n && r->text[i] == ',') {
        i++;
        if (!read_number(r, &i, max)) *max = HN_GRAMMAR_NO_LIMIT;
    }
    if (i >= r->n || r->text[i] != '}') return false;
    *at = i + 1;
    return true;
}

/* How often; *found: whether there is a quantifier at all. */
static bool read_quantifier(hn_regex_reader *r, bool *found, int64_t *min, int64_t *max) {
    size_t start = r->at;
    char c = r->at < r->n ? r->text[r->at] : 0;
    *min = c == '+' ? 1 : 0;
    *max = c == '?' ? 1 : HN_GRAMMAR_NO_LIMIT;
    *found = true;
    if (c == '*' || c == '+' || c == '?')
        r->at++;
    else if (c != '{' || !read_braces(r, &r->at, min, max))
        *found = false;
    if (!*found) return true;
    if (*max != HN_GRAMMAR_NO_LIMIT && *max < *min)
        return hn_regex_bad(r, start, HN_ERR_INPUT, "give the smaller number first", "a repeat from %lld to %lld times",
                            (long long)*min, (long long)*max);
    if (*min > HN_GRAMMAR_REPEAT_MAX || *max > HN_GRAMMAR_REPEAT_MAX)
        return hn_regex_bad(r, start, HN_ERR_LIMIT, "leave the upper limit open, as {1,}",
                            "a repeat of more than %d times", HN_GRAMMAR_REPEAT_MAX);
    if (r->at < r->n && r->text[r->at] == '?') r->at++; /* lazy: the same language */
    return true;
}

static bool read_group_head(hn_regex_reader *r, size_t start) {
    static const struct {
        const char *text, *name;
    } refused[] = {{"(?=", "look-ahead"},
                   {"(?!", "negative look-ahead"},
                   {"(?<=", "look-behind"},
                   {"(?<!", "negative look-behind"},
                   {"(?>", "atomic group"}};
    if (r->n - r->at < 2 || r->text[r->at + 1] != '?') {
        r->at++;
        return true;
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (r->n - r->at >= strlen(refused[i].text) &&
            strncmp(r->text + r->at, refused[i].text, strlen(refused[i].text)) == 0)
            return hn_regex_bad(r, start, HN_ERR_UNSUPPORTED, "write the texts that are meant as alternatives",
                                "%s (%s ...) cannot be followed while text is written", refused[i].name,
                                refused[i].text);
    if (r->n - r->at >= 3 && r->text[r->at + 2] == ':') {
        r->at += 3;
        return true;
    }
    if (r->n - r->at >= 4 && r->text[r->at + 2] == '<') {
        size_t end = r->at + 3;
        while (end < r->n && r->text[end] != '>' && r->text[end] != ')') end++;
        if (end < r->n && r->text[end] == '>' && end > r->at + 3) {
            r->at = end + 1;
            return true;
        }
        return hn_regex_bad(r, start, HN_ERR_INPUT, "as (?<year>...)", "a group's name that is not closed");
    }
    return hn_regex_bad(r, start, HN_ERR_UNSUPPORTED, "use (?:...) and write both cases where case does not matter",
                        "a group of a kind that is not known here");
}

static bool read_group(hn_regex_reader *r, part *out) {
    size_t start = r->at;
    if (!read_group_head(r, start)) return false;
    if (++r->depth > DEPTH_MAX)
        return hn_regex_bad(r, start, HN_ERR_LIMIT, "nest less", "groups nested deeper than %d", DEPTH_MAX);
    if (!read_choice(r, out)) return false;
    r->depth--;
    if (r->at >= r->n || r->text[r->at] != ')')
        return hn_regex_bad(r, start, HN_ERR_INPUT, "close it with )", "a group that is not closed");
    r->at++;
    return true;
}

static bool read_escape(hn_regex_reader *r, part *out) {
    hn_code_set set = {0};
    uint32_t single;
    bool fine =
        hn_regex_escape(r, false, &set, &single) && (single == UINT32_MAX || hn_code_set_add(r, &set, single, single));
    if (fine) *out = plain(hn_grammar_class(r->b, set.ranges, set.n, false), false);
    hn_free(set.ranges);
    return fine && out->node[0] != HN_GRAMMAR_BAD;
}

static bool read_atom(hn_regex_reader *r, part *out) {
    static const hn_code_range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
    size_t start = r->at;
    switch (r->text[r->at]) {
    case '(': return read_group(r, out);
    case '[': *out = plain(hn_regex_class(r), false); return out->node[0] != HN_GRAMMAR_BAD;
    case '\\': return read_escape(r, out);
    case '.':
        r->at++;
        *out = plain(hn_grammar_class(r->b, line_ends, 3, true), false);
        return true;
    case '*':
    case '+':
    case '?':
        return hn_regex_bad(r, start, HN_ERR_INPUT, "write a backslash before it for the sign itself",
                            "nothing to repeat before %c", r->text[start]);
    default: break;
    }
    size_t at = start;
    int64_t min, max;
    if (r->text[start] == '{' && read_braces(r, &at, &min, &max))
        return hn_regex_bad(r, start, HN_ERR_INPUT, "write \\{ for the sign itself", "nothing to repeat before {");
    uint32_t cp = hn_regex_character(r);
    *out = plain(hn_grammar_class(r->b, &(hn_code_range){cp, cp}, 1, false), false);
    return true;
}

static bool read_term(hn_regex_reader *r, part *out) {
    int64_t min, max;
    bool found;
    char c = r->text[r->at];
    if (c == '^' || c == '$') {
        size_t start = r->at++;
        int side = c == '^' ? AT_START : AT_END;
        *out = (part){0};
        add_alternative(r, out, side, hn_grammar_empty(r->b), true);
        if (!read_quantifier(r, &found, &min, &max)) return false;
        return !found || hn_regex_bad(r, start, HN_ERR_INPUT, "leave one of them out", "%c cannot be repeated", c);
    }
    if (!read_atom(r, out) || !read_quantifier(r, &found, &min, &max)) return false;
    if (found) *out = repeat(r, out, min, max);
    return true;
}

/* A run of plain parts is one node, not a chain as long as the pattern. */
typedef struct run {
    hn_grammar_node *nodes;
    size_t n, capacity;
    bool empty;
} run;

static bool end_run(hn_regex_reader *r, run *u, part *out) {
    if (u->n > 0) {
        part joined = plain(hn_grammar_sequence(r->b, u->nodes, u->n), u->empty);
        *out = join(r, out, &joined);
    }
    u->n = 0;
    u->empty = true;
    return true;
}

static bool read_sequence(hn_regex_reader *r, part *out) {
    run u = {.empty = true};
    bool fine = true;
    *out = plain(hn_grammar_empty(r->b), true);
    while (fine && r->at < r->n && r->text[r->at] != '|' && r->text[r->at] != ')') {
        part next;
        fine = read_term(r, &next);
        if (!fine) break;
        if (is_anchored(&next) || !next.some[0]) {
            fine = end_run(r, &u, out);
            *out = join(r, out, &next);
        } else if (!hn_grow((void **)&u.nodes, &u.capacity, u.n + 1, sizeof *u.nodes)) {
            fine = hn_regex_bad(r, r->at, HN_ERR_MEMORY, NULL, "no memory for a sequence of %zu parts", u.n);
        } else {
            u.nodes[u.n++] = next.node[0];
            u.empty = u.empty && next.empty[0];
        }
    }
    if (fine) fine = end_run(r, &u, out);
    hn_free(u.nodes);
    return fine;
}

/* The alternatives of each side, gathered. */
static bool read_choice(hn_regex_reader *r, part *out) {
    hn_grammar_node *nodes[N_SIDES] = {0};
    size_t n[N_SIDES] = {0}, capacity[N_SIDES] = {0};
    bool fine = true;
    *out = (part){0};
    for (bool more = true; more && fine;) {
        part next;
        fine = read_sequence(r, &next);
        for (int side = 0; side < N_SIDES && fine; side++) {
            if (!next.some[side]) continue;
            if (!hn_grow((void **)&nodes[side], &capacity[side], n[side] + 1, sizeof **nodes)) {
                fine = hn_regex_bad(r, r->at, HN_ERR_MEMORY, NULL, "no memory for %zu alternatives", n[side]);
                break;
            }
            nodes[side][n[side]++] = next.node[side];
            out->some[side] = true;
            out->empty[side] |= next.empty[side];
        }
        more = fine && r->at < r->n && r->text[r->at] == '|';
        if (more) r->at++;
    }
    for (int side = 0; side < N_SIDES; side++) {
        if (fine && out->some[side]) out->node[side] = hn_grammar_choice(r->b, nodes[side], n[side]);
        hn_free(nodes[side]);
    }
    return fine;
}

hn_grammar_node hn_grammar_regex(hn_grammar_builder *b, const char *pattern, bool searched) {
    hn_regex_reader r = {.b = b, .text = pattern, .n = strlen(pattern)};
    hn_grammar_node alternatives[N_SIDES];
    size_t n = 0, bad;
    part p;
    if (b->failed) return HN_GRAMMAR_BAD;
    if (!hn_utf8_valid(pattern, r.n, &bad)) {
        (void)hn_regex_bad(&r, bad, HN_ERR_INPUT, "patterns are UTF-8", "byte %zu is not valid UTF-8", bad);
        return HN_GRAMMAR_BAD;
    }
    if (!read_choice(&r, &p)) return HN_GRAMMAR_BAD;
    if (r.at < r.n) {
        (void)hn_regex_bad(&r, r.at, HN_ERR_INPUT, "write \\) for the sign itself", "a ) without its (");
        return HN_GRAMMAR_BAD;
    }
    hn_grammar_node any = hn_grammar_repeat(b, hn_grammar_class(b, NULL, 0, true), 0, HN_GRAMMAR_NO_LIMIT);
    hn_grammar_node none = hn_grammar_empty(b);
    for (int side = 0; side < N_SIDES; side++) {
        if (!p.some[side]) continue;
        hn_grammar_node around[3] = {searched && !(side & AT_START) ? any : none, p.node[side],
                                     searched && !(side & AT_END) ? any : none};
        alternatives[n++] = hn_grammar_sequence(b, around, 3);
    }
    return hn_grammar_choice(b, alternatives, n);
}

hn_status hn_grammar_from_regex(const char *pattern, hn_grammar **grammar, hn_error *err) {
    hn_grammar_builder *b;
    *grammar = NULL;
    HN_TRY(hn_grammar_builder_create(&b, err));
    return hn_grammar_finish(b, hn_grammar_regex(b, pattern, false), grammar, err);
}
