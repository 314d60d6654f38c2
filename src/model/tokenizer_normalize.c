/* Normalizers of tokenizer.json files. Unicode normalisation works on the valid stretches of a text; other bytes stay.
 * Surprise: ASCII text is its own NFC, NFD, NFKC and NFKD, so it is passed on without looking at tables. */
#include "model/tokenizer_parts.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

static void step_free(hn_normal *s) {
    hn_free(s->from);
    hn_free(s->to);
    hn_regex_free(s->regex);
    *s = (hn_normal){0};
}

hn_status hn_normalizer_add(hn_normalizer *z, hn_normal step, hn_error *err) {
    if (z->n_steps < HN_NORMALS_MAX) {
        z->steps[z->n_steps++] = step;
        return HN_OK;
    }
    step_free(&step);
    return hn_fail(err, HN_ERR_LIMIT, "normalizer", NULL, "it has more than %d steps", HN_NORMALS_MAX);
}

void hn_normalizer_free(hn_normalizer *z) {
    for (size_t i = 0; i < z->n_steps; i++) step_free(&z->steps[i]);
    z->n_steps = 0;
}

/* --- Unicode forms --- */

static int form_options(hn_normal_kind kind) {
    switch (kind) {
    case HN_NORMAL_NFC: return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    case HN_NORMAL_NFD: return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    case HN_NORMAL_NFKC: return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    default: return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
    }
}

/* One valid stretch. Decomposing gives at most 18 code points for one (U+FDFA under NFKD): tried first with 4, then
 * as many as said. */
static hn_status form_stretch(const char *text, size_t n, int options, hn_buf *out, hn_error *err) {
    utf8proc_ssize_t capacity = (utf8proc_ssize_t)n * 2 + 32, used;
    utf8proc_int32_t *codepoints = NULL;
    for (;;) {
        hn_free(codepoints);
        codepoints = hn_alloc((size_t)capacity * sizeof *codepoints);
        if (!codepoints) return hn_fail_memory(err, (size_t)capacity * sizeof *codepoints);
        used = utf8proc_decompose((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, codepoints, capacity, options);
        if (used <= capacity) break;
        capacity = used;
    }
    if (used > 0) used = utf8proc_normalize_utf32(codepoints, used, options);
    for (utf8proc_ssize_t i = 0; i < used; i++) hn_buf_append_codepoint(out, (uint32_t)codepoints[i]);
    hn_free(codepoints);
    return used < 0 ? hn_fail(err, HN_ERR_INPUT, "normalizer", NULL, "%s", utf8proc_errmsg(used)) : HN_OK;
}

static hn_status run_form(hn_normal_kind kind, const char *text, size_t n, hn_buf *out, hn_error *err) {
    size_t at = 0;
    while (at < n) {
        size_t ascii = at;
        while (ascii < n && (unsigned char)text[ascii] < 128) ascii++;
        if (ascii == n) break;
        size_t bad = n - at;
        (void)hn_utf8_valid(text + at, n - at, &bad);
        if (bad) HN_TRY(form_stretch(text + at, bad, form_options(kind), out, err));
        at += bad;
        if (at < n) hn_buf_append_char(out, text[at++]);
    }
    hn_buf_append(out, text + at, n - at);
    return HN_OK;
}

/* --- the other steps --- */

static void run_characters(hn_normal_kind kind, const char *text, size_t n, hn_buf *out) {
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t used;
        bool valid = hn_utf8_decode_strict(text + i, n - i, &cp, &used);
        if (!valid)
            hn_buf_append_char(out, text[i]);
        else if (kind == HN_NORMAL_LOWER)
            hn_buf_append_codepoint(out, hn_unicode_lower(cp));
        else if (!hn_unicode_is_mark(cp))
            hn_buf_append(out, text + i, used);
        i += used;
    }
}

static void run_strip(const hn_normal *s, const char *text, size_t n, hn_buf *out) {
    size_t start = 0, end = 0;
    bool seen = false;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t used = hn_utf8_decode(text + i, n - i, &cp);
        if (!hn_unicode_is_space(cp)) {
            if (!seen) start = i;
            seen = true;
            end = i + used;
        }
        i += used;
    }
    if (!seen) start = end = s->left || s->right ? n : 0;
    if (!s->left) start = 0;
    if (!s->right) end = n;
    if (start < end) hn_buf_append(out, text + start, end - start);
}

static hn_status run_replace(const hn_normal *s, const char *text, size_t n, hn_buf *out, hn_error *err) {
    hn_regex_scratch *scratch = s->regex ? hn_regex_scratch_create() : NULL;
    if (s->regex && !scratch) return hn_fail_memory(err, 0);
    hn_status st = HN_OK;
    size_t done = 0, from = 0;
    while (from <= n) {
        hn_regex_match m = {0};
        if (s->regex)
            st = hn_regex_find(s->regex, scratch, text, n, from, &m, err);
        else {
            const char *found = from < n && s->from_len ? memmem(text + from, n - from, s->from, s->from_len) : NULL;
            if (found) m = (hn_regex_match){true, (size_t)(found - text), (size_t)(found - text) + s->from_len};
        }
        if (st != HN_OK || !m.found) break;
        hn_buf_append(out, text + done, m.start - done);
        hn_buf_append(out, s->to, s->to_len);
        done = m.end;
        from = m.end > m.start ? m.end : m.end + 1;
    }
    hn_buf_append(out, text + done, n - done);
    hn_regex_scratch_free(scratch);
    return st;
}

static hn_status run_step(const hn_normal *s, const char *text, size_t n, hn_buf *out, hn_error *err) {
    switch (s->kind) {
    case HN_NORMAL_LOWER:
    case HN_NORMAL_STRIP_ACCENTS: run_characters(s->kind, text, n, out); return HN_OK;
    case HN_NORMAL_STRIP: run_strip(s, text, n, out); return HN_OK;
    case HN_NORMAL_PREPEND:
        if (n) hn_buf_append(out, s->to, s->to_len);
        hn_buf_append(out, text, n);
        return HN_OK;
    case HN_NORMAL_REPLACE: return run_replace(s, text, n, out, err);
    default: return run_form(s->kind, text, n, out, err);
    }
}

hn_status hn_normalize(const hn_normalizer *z, const char *text, size_t n, hn_buf *out, hn_error *err) {
    hn_buf other;
    hn_buf_init(&other, HN_TEXT_MAX);
    hn_buf_clear(out);
    hn_status st = HN_OK;
    if (z->n_steps == 0) hn_buf_append(out, text, n);
    for (size_t i = 0; st == HN_OK && i < z->n_steps; i++) {
        hn_buf_clear(&other);
        st = i == 0 ? run_step(&z->steps[i], text, n, &other, err)
                    : run_step(&z->steps[i], hn_buf_str(out), out->len, &other, err);
        if (st == HN_OK) st = hn_buf_check(&other, "the normalized text", err);
        hn_buf swap = *out;
        *out = other;
        other = swap;
    }
    hn_buf_free(&other);
    return st == HN_OK ? hn_buf_check(out, "the normalized text", err) : st;
}
