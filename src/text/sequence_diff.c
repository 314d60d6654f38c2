/* Shortest edits; see sequence_diff.h. Myers' greedy search keeps, for each number of changes d, how far each diagonal was followed; the way
 * back through these rows is the edit. Common beginnings and ends are taken off first, as most prompts differ in one place. */
#include "text/sequence_diff.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <string.h>

enum { TEXT_BYTES_MAX = 16 << 20 };

/* ---- runs ---- */

typedef struct collector {
    hn_diff_runs *out;
    size_t capacity;
    bool failed;
} collector;

static void add(collector *c, hn_diff_kind kind, size_t a, size_t b, size_t n) {
    if (n == 0 || c->failed) return;
    hn_diff_run *last = c->out->n ? &c->out->rows[c->out->n - 1] : NULL;
    if (last && last->kind == kind) {
        last->n += n;
        return;
    }
    if (!hn_grow((void **)&c->out->rows, &c->capacity, c->out->n + 1, sizeof *c->out->rows)) {
        c->failed = true;
        return;
    }
    c->out->rows[c->out->n++] = (hn_diff_run){kind, a, b, n};
}

/* ---- the search ---- */

typedef struct search {
    const uint64_t *a, *b;
    int n_a, n_b;
    int *rows;            /* row d has 2 d + 1 entries from d * d on: how far diagonals -d .. d were followed */
    unsigned char *edits; /* filled backwards: 0 same, 1 removed, 2 added */
    size_t n_edits;
} search;

static int reach(const search *s, int d, int k) {
    /* Of neighbours beyond the row before there is nothing. */
    return k < -d || k > d ? -1 : s->rows[(size_t)d * (size_t)d + (size_t)(k + d)];
}

/* The furthest point on diagonal k with d changes. */
static int follow(const search *s, int d, int k) {
    int x = 0;
    if (d > 0) {
        int left = reach(s, d - 1, k - 1), up = reach(s, d - 1, k + 1);
        x = k == -d || (k != d && left < up) ? up : left + 1;
    }
    int y = x - k;
    while (x < s->n_a && y >= 0 && y < s->n_b && s->a[x] == s->b[y]) x++, y++;
    return x;
}

/* The number of changes, or -1 where there are more than `limit`. */
static int count_changes(search *s, int limit) {
    for (int d = 0; d <= limit; d++)
        for (int k = -d; k <= d; k += 2) {
            int x = follow(s, d, k);
            s->rows[(size_t)d * (size_t)d + (size_t)(k + d)] = x;
            if (x >= s->n_a && x - k >= s->n_b) return d;
        }
    return -1;
}

static void walk_back(search *s, int d) {
    int x = s->n_a, y = s->n_b;
    for (; d > 0; d--) {
        int k = x - y, left = reach(s, d - 1, k - 1), up = reach(s, d - 1, k + 1);
        bool added = k == -d || (k != d && left < up);
        int before_x = added ? up : left, before_y = before_x - (added ? k + 1 : k - 1);
        int start_x = added ? before_x : before_x + 1;
        for (; x > start_x; x--, y--) s->edits[s->n_edits++] = 0;
        s->edits[s->n_edits++] = added ? 2 : 1;
        x = before_x;
        y = before_y;
    }
    for (; x > 0; x--) s->edits[s->n_edits++] = 0;
}

static void collect(const search *s, size_t offset, collector *c) {
    size_t x = offset, y = offset;
    for (size_t i = s->n_edits; i-- > 0;) {
        add(c, (hn_diff_kind)s->edits[i], x, y, 1);
        x += s->edits[i] != 2;
        y += s->edits[i] != 1;
    }
}

/* The middle that is left after the common ends, at `offset` in both lists. */
static hn_status diff_middle(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, size_t offset, collector *c,
                             hn_error *err) {
    size_t most = n_a + n_b, limit = most < HN_DIFF_STEPS_MAX ? most : HN_DIFF_STEPS_MAX;
    if (most > INT32_MAX / 2) return hn_fail(err, HN_ERR_LIMIT, NULL, NULL, "%zu units are too many to compare", most);
    size_t entries = (limit + 1) * (limit + 1);
    search s = {a, b, (int)n_a, (int)n_b, hn_alloc(entries * sizeof(int)), hn_alloc(most + 1), 0};
    hn_status st = s.rows && s.edits ? HN_OK : hn_fail_memory(err, entries * sizeof(int));
    if (st == HN_OK) {
        for (size_t i = 0; i < entries; i++) s.rows[i] = -1;
        int d = count_changes(&s, (int)limit);
        if (d >= 0) {
            walk_back(&s, d);
            collect(&s, offset, c);
        } else {
            add(c, HN_DIFF_REMOVED, offset, offset, n_a);
            add(c, HN_DIFF_ADDED, offset + n_a, offset, n_b);
        }
    }
    hn_free(s.rows);
    hn_free(s.edits);
    return st;
}

/* Within each stretch of changes, all that is removed comes first, then all that is added; weak units between two changes belong to both. */
static void join_changes(const bool *weak, const hn_diff_runs *found, collector *c) {
    for (size_t i = 0; i < found->n;) {
        const hn_diff_run *r = &found->rows[i];
        if (r->kind == HN_DIFF_SAME) {
            add(c, HN_DIFF_SAME, r->a, r->b, r->n);
            i++;
            continue;
        }
        size_t a = r->a, b = r->b, n_a = 0, n_b = 0, end = i;
        for (; end < found->n; end++) {
            const hn_diff_run *e = &found->rows[end];
            if (e->kind == HN_DIFF_SAME) {
                bool parts = !weak || end + 1 == found->n;
                for (size_t k = 0; !parts && k < e->n; k++) parts = !weak[e->a + k];
                if (parts) break;
            }
            n_a += e->kind != HN_DIFF_ADDED ? e->n : 0;
            n_b += e->kind != HN_DIFF_REMOVED ? e->n : 0;
        }
        add(c, HN_DIFF_REMOVED, a, b, n_a);
        add(c, HN_DIFF_ADDED, a + n_a, b, n_b);
        i = end;
    }
}

hn_status hn_diff_units(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, const bool *weak,
                        hn_diff_runs *out, hn_error *err) {
    hn_diff_runs found = {0};
    collector c = {.out = &found}, joined = {.out = out};
    size_t head = 0, tail = 0;
    *out = (hn_diff_runs){0};
    while (head < n_a && head < n_b && a[head] == b[head]) head++;
    while (tail < n_a - head && tail < n_b - head && a[n_a - 1 - tail] == b[n_b - 1 - tail]) tail++;
    add(&c, HN_DIFF_SAME, 0, 0, head);
    hn_status st = diff_middle(a + head, n_a - head - tail, b + head, n_b - head - tail, head, &c, err);
    add(&c, HN_DIFF_SAME, n_a - tail, n_b - tail, tail);
    if (st == HN_OK) join_changes(weak, &found, &joined);
    if (st == HN_OK && (c.failed || joined.failed)) st = hn_fail_memory(err, (n_a + n_b) * sizeof(hn_diff_run));
    hn_free(found.rows);
    if (st == HN_OK) return HN_OK;
    hn_free(out->rows);
    *out = (hn_diff_runs){0};
    return st;
}

/* ---- words ---- */

typedef struct words {
    uint64_t *hashes;
    size_t *starts; /* (n + 1) */
    bool *blank;
    size_t n;
} words;

static bool is_blank(unsigned char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_word(unsigned char c) {
    return c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Bytes of the unit that begins here: a word, blanks of one kind (each line break by itself), or a mark. */
static size_t unit_length(const char *text, size_t n) {
    const unsigned char *t = (const unsigned char *)text;
    size_t i = 1;
    if (t[0] == '\n') return 1;
    if (is_blank(t[0]))
        while (i < n && is_blank(t[i]) && t[i] != '\n') i++;
    else if (is_word(t[0]))
        while (i < n && is_word(t[i])) i++;
    return i;
}

static hn_status cut_words(const char *text, words *w, hn_error *err) {
    size_t n = strlen(text), n_units = 0;
    if (n > TEXT_BYTES_MAX)
        return hn_fail(err, HN_ERR_LIMIT, NULL, NULL, "a text of %zu bytes is too long to compare", n);
    for (size_t i = 0; i < n; i += unit_length(text + i, n - i)) n_units++;
    w->hashes = hn_alloc((n_units + 1) * sizeof *w->hashes);
    w->starts = hn_alloc((n_units + 1) * sizeof *w->starts);
    w->blank = hn_alloc((n_units + 1) * sizeof *w->blank);
    if (!w->hashes || !w->starts || !w->blank) return hn_fail_memory(err, n_units * sizeof *w->hashes);
    for (size_t i = 0; i < n;) {
        size_t length = unit_length(text + i, n - i);
        w->starts[w->n] = i;
        w->blank[w->n] = is_blank((unsigned char)text[i]) && text[i] != '\n';
        w->hashes[w->n++] = hn_hash64(text + i, length, 0);
        i += length;
    }
    w->starts[w->n] = n;
    return HN_OK;
}

static void free_words(words *w) {
    hn_free(w->hashes);
    hn_free(w->starts);
    hn_free(w->blank);
}

hn_status hn_diff_words(const char *a, const char *b, hn_diff_runs *out, hn_error *err) {
    words x = {0}, y = {0};
    *out = (hn_diff_runs){0};
    hn_status st = cut_words(a, &x, err);
    if (st == HN_OK) st = cut_words(b, &y, err);
    if (st == HN_OK) st = hn_diff_units(x.hashes, x.n, y.hashes, y.n, x.blank, out, err);
    for (size_t i = 0; st == HN_OK && i < out->n; i++) {
        hn_diff_run *r = &out->rows[i];
        size_t from_a = x.starts[r->a], from_b = y.starts[r->b];
        r->n = r->kind == HN_DIFF_ADDED ? y.starts[r->b + r->n] - from_b : x.starts[r->a + r->n] - from_a;
        r->a = from_a;
        r->b = from_b;
    }
    free_words(&x);
    free_words(&y);
    return st;
}
