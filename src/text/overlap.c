/* Overlap of short answers; see overlap.h. */
#include "text/overlap.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "text/bag.h"
#include "text/wordlist.h"

#include <math.h>
#include <string.h>

static bool is_ascii_mark(char c) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/* What Python's \w takes, without "_", which is gone by then. Combining marks are not in it. */
static bool in_word(uint32_t cp) { return hn_unicode_is_letter(cp) || hn_unicode_is_number(cp); }

static bool is_article(const char *s, size_t n) {
    return (n == 1 && s[0] == 'a') || (n == 2 && memcmp(s, "an", 2) == 0) || (n == 3 && memcmp(s, "the", 3) == 0);
}

/* Copies `text` to `out` without articles, gaps becoming single spaces. */
static void copy_words(hn_str text, hn_buf *out) {
    size_t start = out->len;
    bool gap = false;
    for (size_t i = 0, used; i < text.len; i += used) {
        uint32_t cp;
        bool valid = hn_utf8_decode_strict(text.data + i, text.len - i, &cp, &used);
        if (valid && hn_wordlist_is_gap(cp)) {
            gap = true;
            continue;
        }
        size_t end = i + used;
        while (valid && in_word(cp) && end < text.len) { /* the rest of the run */
            uint32_t next;
            size_t more;
            if (!hn_utf8_decode_strict(text.data + end, text.len - end, &next, &more) || !in_word(next)) break;
            end += more;
        }
        if (is_article(text.data + i, end - i)) {
            gap = true;
        } else {
            if (gap && out->len > start) hn_buf_append_char(out, ' ');
            gap = false;
            hn_buf_append(out, text.data + i, end - i);
        }
        used = end - i;
    }
}

hn_status hn_squad_normalize(hn_str text, hn_buf *out, hn_error *err) {
    HN_TRY(hn_wordlist_check(text, err));
    hn_buf lower;
    hn_buf_init(&lower, 0);
    hn_wordlist_lower(&lower, text);
    hn_status st = hn_buf_check(&lower, "normalised text", err);
    if (st == HN_OK && lower.len) {
        size_t n = 0;
        for (size_t i = 0; i < lower.len; i++)
            if (!is_ascii_mark(lower.data[i])) lower.data[n++] = lower.data[i];
        copy_words((hn_str){lower.data, n}, out);
        st = hn_buf_check(out, "normalised text", err);
    }
    hn_buf_free(&lower);
    return st;
}

static hn_status bag_of_words(hn_str text, hn_bag *bag, hn_error *err) {
    hn_wordlist words = {0};
    hn_status st = hn_wordlist_split(&words, text, err);
    if (st == HN_OK) st = hn_bag_fill(bag, words.hashes, words.n, err);
    hn_wordlist_free(&words);
    return st;
}

static double f1_of(size_t shared, size_t n_a, size_t n_b) {
    if (n_a == 0 || n_b == 0) return n_a == n_b;
    return 2 * (double)shared / (double)(n_a + n_b);
}

hn_status hn_squad_score(hn_str answer, hn_str reference, hn_squad *out, hn_error *err) {
    hn_buf a, b;
    hn_bag words_a = {0}, words_b = {0};
    hn_buf_init(&a, 0);
    hn_buf_init(&b, 0);
    hn_status st;
    HN_GOTO(hn_squad_normalize(answer, &a, err), done);
    HN_GOTO(hn_squad_normalize(reference, &b, err), done);
    hn_str text_a = {hn_buf_str(&a), a.len}, text_b = {hn_buf_str(&b), b.len};
    HN_GOTO(bag_of_words(text_a, &words_a, err), done);
    HN_GOTO(bag_of_words(text_b, &words_b, err), done);
    out->exact = hn_str_equal(text_a, text_b);
    out->f1 = f1_of(hn_bag_overlap(&words_a, &words_b), words_a.n, words_b.n);
done:
    hn_buf_free(&a);
    hn_buf_free(&b);
    hn_bag_free(&words_a);
    hn_bag_free(&words_b);
    return st;
}

static double jaccard_of(const hn_bag *a, const hn_bag *b) {
    size_t shared = hn_bag_overlap(a, b), all = a->n + b->n - shared;
    return all ? (double)shared / (double)all : NAN;
}

static hn_status take_chars(hn_str text, size_t k, hn_bag *bag, hn_error *err) {
    HN_TRY(hn_wordlist_check(text, err));
    uint64_t *units = hn_calloc(text.len + 1, sizeof *units);
    if (!units) return hn_fail_memory(err, text.len * sizeof *units);
    size_t n = 0;
    for (size_t i = 0, used; i < text.len; i += used) {
        uint32_t cp;
        bool valid = hn_utf8_decode_strict(text.data + i, text.len - i, &cp, &used);
        units[n++] = valid ? cp : 0x110000u + (unsigned char)text.data[i];
    }
    hn_status st = hn_bag_ngrams(bag, units, n, k, err);
    hn_free(units);
    return st;
}

static hn_status take_words(hn_str text, size_t k, hn_bag *bag, hn_error *err) {
    hn_wordlist words = {0};
    hn_status st = hn_wordlist_split(&words, text, err);
    if (st == HN_OK) st = hn_bag_ngrams(bag, words.hashes, words.n, k, err);
    hn_wordlist_free(&words);
    return st;
}

typedef hn_status (*shingle_fn)(hn_str text, size_t k, hn_bag *bag, hn_error *err);

static hn_status jaccard(hn_str a, hn_str b, size_t k, shingle_fn take, double *out, hn_error *err) {
    *out = NAN;
    if (k == 0) return HN_OK;
    hn_bag of_a = {0}, of_b = {0};
    hn_status st = take(a, k, &of_a, err);
    if (st == HN_OK) st = take(b, k, &of_b, err);
    if (st == HN_OK) {
        hn_bag_to_set(&of_a);
        hn_bag_to_set(&of_b);
        *out = jaccard_of(&of_a, &of_b);
    }
    hn_bag_free(&of_a);
    hn_bag_free(&of_b);
    return st;
}

hn_status hn_jaccard_chars(hn_str a, hn_str b, size_t k, double *out, hn_error *err) {
    return jaccard(a, b, k, take_chars, out, err);
}

hn_status hn_jaccard_words(hn_str a, hn_str b, size_t k, double *out, hn_error *err) {
    return jaccard(a, b, k, take_words, out, err);
}

static hn_status bag_of_items(const hn_str *items, size_t n, hn_bag *bag, hn_error *err) {
    uint64_t *hashes = hn_calloc(n + 1, sizeof *hashes);
    if (!hashes) return hn_fail_memory(err, n * sizeof *hashes);
    for (size_t i = 0; i < n; i++) hashes[i] = hn_hash64(items[i].data, items[i].len, 0);
    hn_status st = hn_bag_fill(bag, hashes, n, err);
    hn_free(hashes);
    return st;
}

hn_status hn_overlap_lists(const hn_str *given, size_t n_given, const hn_str *wanted, size_t n_wanted, hn_overlap *out,
                           hn_error *err) {
    hn_bag a = {0}, b = {0};
    hn_status st = bag_of_items(given, n_given, &a, err);
    if (st == HN_OK) st = bag_of_items(wanted, n_wanted, &b, err);
    if (st == HN_OK) {
        bool none = n_given == 0 && n_wanted == 0;
        double shared = (double)hn_bag_overlap(&a, &b);
        out->precision = n_given ? shared / (double)n_given : none;
        out->recall = n_wanted ? shared / (double)n_wanted : none;
        out->f1 = f1_of((size_t)shared, n_given, n_wanted);
        out->same_list = n_given == n_wanted;
        for (size_t i = 0; i < n_given && out->same_list; i++) out->same_list = hn_str_equal(given[i], wanted[i]);
        hn_bag_to_set(&a);
        hn_bag_to_set(&b);
        out->jaccard = none ? 1 : jaccard_of(&a, &b);
        out->same_set = a.n == b.n && hn_bag_overlap(&a, &b) == a.n;
    }
    hn_bag_free(&a);
    hn_bag_free(&b);
    return st;
}
