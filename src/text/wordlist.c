/* Cutting texts into words; see wordlist.h. */
#include "text/wordlist.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "text/porter.h"

#include <string.h>

enum { WORD_SEED = 0x57 };

hn_status hn_wordlist_check(hn_str text, hn_error *err) {
    if (text.len <= HN_WORDLIST_TEXT_MAX) return HN_OK;
    return hn_fail(err, HN_ERR_LIMIT, NULL, "shorten the text", "a text has %zu bytes, the limit is %d", text.len,
                   HN_WORDLIST_TEXT_MAX);
}

bool hn_wordlist_is_gap(uint32_t cp) {
    if (cp < 128) return cp == ' ' || (cp >= 0x09 && cp <= 0x0D) || (cp >= 0x1C && cp <= 0x1F);
    return hn_unicode_is_space(cp);
}

void hn_wordlist_lower(hn_buf *out, hn_str text) {
    for (size_t i = 0, used; i < text.len; i += used) {
        uint32_t cp;
        if (!hn_utf8_decode_strict(text.data + i, text.len - i, &cp, &used)) {
            hn_buf_append_char(out, text.data[i]);
        } else if (cp == 0x130) {
            hn_buf_append_str(out, "i\xCC\x87");
        } else if (cp < 128) {
            hn_buf_append_char(out, cp >= 'A' && cp <= 'Z' ? (char)(cp + 32) : (char)cp);
        } else {
            hn_buf_append_codepoint(out, hn_unicode_lower(cp));
        }
    }
}

static hn_status add(hn_wordlist *w, hn_str word, uint64_t hash, hn_error *err) {
    if (!hn_grow((void **)&w->items, &w->items_capacity, w->n + 1, sizeof *w->items) ||
        !hn_grow((void **)&w->hashes, &w->hashes_capacity, w->n + 1, sizeof *w->hashes))
        return hn_fail_memory(err, w->n * sizeof *w->items);
    w->items[w->n] = word;
    w->hashes[w->n++] = hash;
    return HN_OK;
}

static hn_status start(hn_wordlist *w, hn_str text, hn_error *err) {
    w->n = 0;
    if (!w->text.max) hn_buf_init(&w->text, 0);
    hn_buf_clear(&w->text);
    return hn_wordlist_check(text, err);
}

static hn_status split(hn_wordlist *w, hn_str text, hn_error *err) {
    size_t from = 0;
    for (size_t i = 0, used; i <= text.len; i += used) {
        uint32_t cp = ' ';
        used = i < text.len ? hn_utf8_decode(text.data + i, text.len - i, &cp) : 1;
        if (!hn_wordlist_is_gap(cp)) continue;
        if (i > from) {
            hn_str word = {text.data + from, i - from};
            HN_TRY(add(w, word, hn_hash64(word.data, word.len, WORD_SEED), err));
        }
        from = i + used;
    }
    return HN_OK;
}

hn_status hn_wordlist_split(hn_wordlist *w, hn_str text, hn_error *err) {
    HN_TRY(start(w, text, err));
    return split(w, text, err);
}

hn_status hn_wordlist_split_lower(hn_wordlist *w, hn_str text, hn_error *err) {
    HN_TRY(start(w, text, err));
    hn_wordlist_lower(&w->text, text);
    HN_TRY(hn_buf_check(&w->text, "words", err));
    return split(w, (hn_str){hn_buf_str(&w->text), w->text.len}, err);
}

/* Empties `out`; an error of `in` goes on, or the text would seem to have ended where memory did. */
static void begin(const hn_buf *in, hn_buf *out) {
    hn_buf_clear(out);
    out->error = in->error;
}

/* `in` with every `from` as `to`, into `out`. */
static void replace(const hn_buf *in, hn_buf *out, const char *from, const char *to) {
    size_t n = strlen(from);
    begin(in, out);
    for (size_t i = 0; i < in->len;) {
        if (in->len - i >= n && memcmp(in->data + i, from, n) == 0) {
            hn_buf_append_str(out, to);
            i += n;
        } else {
            hn_buf_append_char(out, in->data[i++]);
        }
    }
}

static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
static bool not_digit(unsigned char c) { return !is_digit(c); }
static bool is_point(unsigned char c) { return c == '.' || c == ','; }
static bool is_hyphen(unsigned char c) { return c == '-'; }
/* ASCII punctuation except ' , - and . */
static bool is_apart(unsigned char c) {
    return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') ||
           (c >= ':' && c <= '@') || c == '/';
}

/* Each pair of neighbours (first, second), taken from the left without overlap, gets `before` in front, a space between
 * and `after` behind. */
static void part_pairs(const hn_buf *in, hn_buf *out, bool (*first)(unsigned char), bool (*second)(unsigned char),
                       const char *before, const char *after) {
    begin(in, out);
    for (size_t i = 0; i < in->len;) {
        if (i + 1 < in->len && first((unsigned char)in->data[i]) && second((unsigned char)in->data[i + 1])) {
            hn_buf_append_str(out, before);
            hn_buf_append_char(out, in->data[i]);
            hn_buf_append_char(out, ' ');
            hn_buf_append_char(out, in->data[i + 1]);
            hn_buf_append_str(out, after);
            i += 2;
        } else {
            hn_buf_append_char(out, in->data[i++]);
        }
    }
}

static void part_punctuation(const hn_buf *in, hn_buf *out) {
    begin(in, out);
    hn_buf_append_char(out, ' ');
    for (size_t i = 0; i < in->len; i++) {
        bool apart = is_apart((unsigned char)in->data[i]);
        if (apart) hn_buf_append_char(out, ' ');
        hn_buf_append_char(out, in->data[i]);
        if (apart) hn_buf_append_char(out, ' ');
    }
    hn_buf_append_char(out, ' ');
}

hn_status hn_wordlist_13a(hn_wordlist *w, hn_str text, hn_error *err) {
    static const char *const replaced[][2] = {
        {"<skipped>", ""}, {"-\n", ""}, {"\n", " "}, {"&quot;", "\""}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"},
    };
    HN_TRY(start(w, text, err));
    hn_buf a, b; /* each step reads one and writes the other */
    hn_buf_init(&a, 0);
    hn_buf_init(&b, 0);
    hn_buf_append(&a, text.data, text.len);
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++) {
        hn_buf t = a;
        replace(&t, &b, replaced[i][0], replaced[i][1]);
        a = b;
        b = t;
    }
    part_punctuation(&a, &b);
    part_pairs(&b, &a, not_digit, is_point, "", " ");
    part_pairs(&a, &b, is_point, not_digit, " ", "");
    part_pairs(&b, &w->text, is_digit, is_hyphen, "", " ");
    hn_status st = hn_buf_check(&a, "words", err);
    if (st == HN_OK) st = hn_buf_check(&b, "words", err);
    if (st == HN_OK) st = hn_buf_check(&w->text, "words", err);
    hn_buf_free(&a);
    hn_buf_free(&b);
    return st == HN_OK ? split(w, (hn_str){hn_buf_str(&w->text), w->text.len}, err) : st;
}

hn_status hn_wordlist_rouge(hn_wordlist *w, hn_str text, bool stem, hn_error *err) {
    HN_TRY(start(w, text, err));
    hn_wordlist_lower(&w->text, text);
    HN_TRY(hn_buf_check(&w->text, "words", err));
    char *s = w->text.data;
    for (size_t i = 0, end; i < w->text.len; i = end + 1) {
        for (end = i; end < w->text.len && ((s[end] >= 'a' && s[end] <= 'z') || is_digit((unsigned char)s[end]));)
            end++;
        if (end == i) continue;
        size_t n = stem && end - i > 3 ? hn_porter_stem(s + i, end - i) : end - i;
        HN_TRY(add(w, (hn_str){s + i, n}, hn_hash64(s + i, n, WORD_SEED), err));
    }
    return HN_OK;
}

static bool in_word(uint32_t cp) {
    if (cp < 128) return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || (cp >= '0' && cp <= '9');
    return hn_unicode_is_letter(cp) || hn_unicode_is_mark(cp) || hn_unicode_is_number(cp);
}

hn_status hn_wordlist_plain(hn_wordlist *w, hn_str text, hn_error *err) {
    HN_TRY(start(w, text, err));
    size_t from = 0;
    for (size_t i = 0, used; i <= text.len; i += used) {
        uint32_t cp = ' ';
        used = i < text.len ? hn_utf8_decode(text.data + i, text.len - i, &cp) : 1;
        if (in_word(cp)) continue;
        if (i > from) {
            hn_str word = {text.data + from, i - from};
            hn_buf_clear(&w->text);
            hn_wordlist_lower(&w->text, word);
            HN_TRY(hn_buf_check(&w->text, "words", err));
            HN_TRY(add(w, word, hn_hash64(w->text.data, w->text.len, WORD_SEED), err));
        }
        from = i + used;
    }
    return HN_OK;
}

void hn_wordlist_free(hn_wordlist *w) {
    hn_free(w->items);
    hn_free(w->hashes);
    hn_buf_free(&w->text);
    memset(w, 0, sizeof *w);
}
