/* Edit distance; see edit_distance.h. A strip is 64 units of the first list, one bit each; it runs along the second and
 * hands on, per column, how the table's value changes from the column before it at the strip's last row (-1, 0, 1). */
#include "text/edit_distance.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/bag.h"
#include "text/wordlist.h"

#include <string.h>

#define STEPS_MAX ((uint64_t)1 << 32)

/* Both lists with small numbers for units, so that a strip can look its units up in a table. */
typedef struct pair {
    uint32_t *a, *b;
    size_t n_a, n_b, n_units;
    uint64_t *rows;      /* (n_units): the strip's rows that hold the unit */
    signed char *across; /* (n_b + 1): change from column j - 1 to j, at the last finished row */
} pair;

static void pair_free(pair *p) {
    hn_free(p->a);
    hn_free(p->b);
    hn_free(p->rows);
    hn_free(p->across);
}

static uint32_t number_of(const hn_bag *units, uint64_t unit) {
    size_t low = 0, high = units->n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (units->items[middle] <= unit)
            low = middle;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static hn_status pair_make(pair *p, const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, hn_error *err) {
    *p = (pair){.n_a = n_a, .n_b = n_b};
    if (n_a > HN_WORDLIST_TEXT_MAX || n_b > HN_WORDLIST_TEXT_MAX)
        return hn_fail(err, HN_ERR_LIMIT, NULL, "shorten the text", "texts of %zu and %zu units, the limit is %d", n_a,
                       n_b, HN_WORDLIST_TEXT_MAX);
    hn_bag units = {0};
    uint64_t *both = hn_calloc(n_a + n_b + 1, sizeof *both);
    hn_status st = both ? HN_OK : hn_fail_memory(err, (n_a + n_b) * sizeof *both);
    if (st != HN_OK) return st;
    if (n_a) memcpy(both, a, n_a * sizeof *both);
    if (n_b) memcpy(both + n_a, b, n_b * sizeof *both);
    HN_GOTO(hn_bag_fill(&units, both, n_a + n_b, err), done);
    hn_bag_to_set(&units);
    p->n_units = units.n;
    p->a = hn_calloc(n_a + 1, sizeof *p->a);
    p->b = hn_calloc(n_b + 1, sizeof *p->b);
    p->rows = hn_calloc(units.n + 1, sizeof *p->rows);
    p->across = hn_calloc(n_b + 1, 1);
    if (!p->a || !p->b || !p->rows || !p->across) {
        pair_free(p);
        st = hn_fail_memory(err, (n_a + n_b + units.n) * sizeof *p->rows);
        goto done;
    }
    for (size_t i = 0; i < n_a; i++) p->a[i] = number_of(&units, a[i]);
    for (size_t i = 0; i < n_b; i++) p->b[i] = number_of(&units, b[i]);
done:
    hn_free(both);
    hn_bag_free(&units);
    return st;
}

/* Columns from + 1 .. to of one strip of n_rows; the column `from` rises by 1 a row. */
static void strip_along(pair *p, size_t n_rows, size_t from, size_t to) {
    uint64_t up = ~(uint64_t)0, down = 0, last = (uint64_t)1 << (n_rows - 1); /* changes from row to row */
    for (size_t j = from + 1; j <= to; j++) {
        uint64_t equal = p->rows[p->b[j - 1]], in_up = p->across[j] > 0, in_down = p->across[j] < 0;
        uint64_t vertical = equal | down;
        equal |= in_down;
        uint64_t horizontal = (((equal & up) + up) ^ up) | equal;
        uint64_t right_up = down | ~(horizontal | up), right_down = up & horizontal;
        p->across[j] = (signed char)(((right_up & last) != 0) - ((right_down & last) != 0));
        right_up = right_up << 1 | in_up;
        right_down = right_down << 1 | in_down;
        up = right_down | ~(vertical | right_up);
        down = right_up & vertical;
    }
}

/* The distance if it is at most `band`, else something above `band`. Paths outside the band are not looked at: cells
 * beyond its right edge count as insertions, those beyond its left edge as deletions, which can only be too much.
 * |n_a - n_b| <= band. */
static size_t distance_within(pair *p, size_t band) {
    size_t corner = 0, from = 0, n_rows; /* the table's value at (row, from) */
    memset(p->across, 1, p->n_b + 1);
    for (size_t row = 0; row < p->n_a; row += n_rows) {
        n_rows = p->n_a - row < 64 ? p->n_a - row : 64;
        size_t left = row > band ? row - band : 0, end = row + n_rows, to = p->n_b;
        for (; from < left; from++) corner += (size_t)p->across[from + 1]; /* wraps back for -1 */
        if (end + band < to && end < p->n_a) to = end + band;
        for (size_t r = 0; r < n_rows; r++) p->rows[p->a[row + r]] |= (uint64_t)1 << r;
        strip_along(p, n_rows, from, to);
        for (size_t r = 0; r < n_rows; r++) p->rows[p->a[row + r]] = 0;
        corner += n_rows;
        size_t value = corner, least = corner;
        for (size_t j = from + 1; j <= to; j++) {
            value += (size_t)p->across[j];
            if (value < least) least = value;
        }
        if (least > band) return band + 1;
    }
    for (; from < p->n_b; from++) corner += (size_t)p->across[from + 1];
    return corner;
}

static hn_status too_long(size_t n_a, size_t n_b, hn_error *err) {
    return hn_fail(err, HN_ERR_LIMIT, NULL, "shorten the texts, or set a limit for the distance",
                   "texts of %zu and %zu units are too long and too different to be compared unit by unit", n_a, n_b);
}

static hn_status search(pair *p, size_t limit, size_t *distance, hn_error *err) {
    size_t longest = p->n_a > p->n_b ? p->n_a : p->n_b;
    size_t apart = p->n_a > p->n_b ? p->n_a - p->n_b : p->n_b - p->n_a;
    if (limit > longest) limit = longest;
    for (size_t band = apart > 63 ? apart : 63;; band *= 2) {
        if (band > limit) band = limit;
        uint64_t width = 2 * (uint64_t)band + 64;
        if (width > p->n_b) width = p->n_b;
        if ((uint64_t)(p->n_a / 64 + 1) * width > STEPS_MAX) return too_long(p->n_a, p->n_b, err);
        *distance = distance_within(p, band);
        if (*distance <= band) return HN_OK;
        if (band == limit) break;
    }
    *distance = limit + 1;
    return HN_OK;
}

hn_status hn_edit_units(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, size_t limit, size_t *distance,
                        hn_error *err) {
    while (n_a && n_b && a[0] == b[0]) a++, b++, n_a--, n_b--;
    while (n_a && n_b && a[n_a - 1] == b[n_b - 1]) n_a--, n_b--;
    size_t apart = n_a > n_b ? n_a - n_b : n_b - n_a;
    if (apart > limit) {
        *distance = limit + 1;
        return HN_OK;
    }
    if (n_a == 0 || n_b == 0) {
        *distance = apart;
        return HN_OK;
    }
    pair p;
    HN_TRY(n_a <= n_b ? pair_make(&p, a, n_a, b, n_b, err) : pair_make(&p, b, n_b, a, n_a, err));
    hn_status st = search(&p, limit, distance, err);
    pair_free(&p);
    return st;
}

/* The text's code points; an invalid byte gets a number that no code point has. */
static hn_status take_chars(hn_str text, uint64_t **units, size_t *n, hn_error *err) {
    *n = 0;
    *units = NULL;
    HN_TRY(hn_wordlist_check(text, err));
    *units = hn_calloc(text.len + 1, sizeof **units);
    if (!*units) return hn_fail_memory(err, text.len * sizeof **units);
    for (size_t i = 0, used; i < text.len; i += used) {
        uint32_t cp;
        bool valid = hn_utf8_decode_strict(text.data + i, text.len - i, &cp, &used);
        (*units)[(*n)++] = valid ? cp : 0x110000u + (unsigned char)text.data[i];
    }
    return HN_OK;
}

static hn_status chars(hn_str a, hn_str b, size_t limit, size_t *distance, size_t *n_b, hn_error *err) {
    uint64_t *units_a = NULL, *units_b = NULL;
    size_t n_a;
    hn_status st = take_chars(a, &units_a, &n_a, err);
    if (st == HN_OK) st = take_chars(b, &units_b, n_b, err);
    if (st == HN_OK) st = hn_edit_units(units_a, n_a, units_b, *n_b, limit, distance, err);
    hn_free(units_a);
    hn_free(units_b);
    return st;
}

static hn_status words(hn_str a, hn_str b, size_t limit, size_t *distance, size_t *n_b, hn_error *err) {
    hn_wordlist of_a = {0}, of_b = {0};
    hn_status st = hn_wordlist_split(&of_a, a, err);
    if (st == HN_OK) st = hn_wordlist_split(&of_b, b, err);
    if (st == HN_OK) st = hn_edit_units(of_a.hashes, of_a.n, of_b.hashes, of_b.n, limit, distance, err);
    *n_b = of_b.n;
    hn_wordlist_free(&of_a);
    hn_wordlist_free(&of_b);
    return st;
}

hn_status hn_edit_chars(hn_str a, hn_str b, size_t limit, size_t *distance, hn_error *err) {
    size_t n_b;
    return chars(a, b, limit, distance, &n_b, err);
}

hn_status hn_edit_words(hn_str a, hn_str b, size_t limit, size_t *distance, hn_error *err) {
    size_t n_b;
    return words(a, b, limit, distance, &n_b, err);
}

static double rate_of(size_t distance, size_t n) { return n ? (double)distance / (double)n : distance ? 1 : 0; }

hn_status hn_edit_error_rate_chars(hn_str answer, hn_str reference, double *rate, hn_error *err) {
    size_t distance = 0, n = 0;
    HN_TRY(chars(answer, reference, HN_EDIT_NO_LIMIT, &distance, &n, err));
    *rate = rate_of(distance, n);
    return HN_OK;
}

hn_status hn_edit_error_rate_words(hn_str answer, hn_str reference, double *rate, hn_error *err) {
    size_t distance = 0, n = 0;
    HN_TRY(words(answer, reference, HN_EDIT_NO_LIMIT, &distance, &n, err));
    *rate = rate_of(distance, n);
    return HN_OK;
}

hn_status hn_edit_common(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, size_t *length, hn_error *err) {
    *length = 0;
    if (n_a == 0 || n_b == 0) return HN_OK;
    if ((uint64_t)(n_a / 64 + 1) * n_b > STEPS_MAX) return too_long(n_a, n_b, err);
    pair p;
    HN_TRY(pair_make(&p, a, n_a, b, n_b, err));
    for (size_t row = 0; row < n_a; row += 64) { /* across: the carry of the strip above; bits of v that are 0 count */
        size_t n_rows = n_a - row < 64 ? n_a - row : 64;
        uint64_t v = ~(uint64_t)0;
        for (size_t r = 0; r < n_rows; r++) p.rows[p.a[row + r]] |= (uint64_t)1 << r;
        for (size_t j = 0; j < n_b; j++) {
            uint64_t equal = p.rows[p.b[j]], u = v & equal, sum = v + u, carry = sum < v;
            uint64_t with_carry = sum + (uint64_t)p.across[j];
            carry |= with_carry < sum;
            v = with_carry | (v & ~equal);
            p.across[j] = (signed char)carry;
        }
        for (size_t r = 0; r < n_rows; r++) {
            p.rows[p.a[row + r]] = 0;
            *length += !(v >> r & 1);
        }
    }
    pair_free(&p);
    return HN_OK;
}
