/* The steps of a pre-tokenizer, and running them; see pretokenize.h.
 * A step either cuts words (spans are written to `spare`, then swapped in) or rewrites the text (into `own`, with new
 * spans). */
#include "model/pretokenize.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>

/* --- making --- */

hn_status hn_pretokenizer_add(hn_pretokenizer *p, hn_step step, hn_error *err) {
    if (p->n_steps < HN_STEPS_MAX) {
        p->steps[p->n_steps++] = step;
        return HN_OK;
    }
    hn_regex_free(step.regex);
    hn_free(step.text);
    return hn_fail(err, HN_ERR_LIMIT, "pre_tokenizer", NULL, "it has more than %d steps", HN_STEPS_MAX);
}

hn_status hn_pretokenizer_add_literal(hn_pretokenizer *p, hn_str text, hn_split how, bool invert, hn_error *err) {
    hn_step step = {.kind = HN_STEP_LITERAL, .how = how, .invert = invert, .text_len = text.len};
    step.text = hn_strndup(text.data, text.len);
    if (!step.text) return hn_fail_memory(err, text.len);
    return hn_pretokenizer_add(p, step, err);
}

/* Patterns as tokenizer.json files write them, with the scanner that does the same. */
static const struct {
    const char *pattern;
    hn_scan *scan;
} scanners[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", hn_scan_gpt2},
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)", hn_scan_gpt2},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     hn_scan_llama3},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     hn_scan_qwen2},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| "
     "?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     hn_scan_qwen35},
    {"[^\\n]+|[\\n]+", hn_scan_newlines},
};

/* Sets inside sets and set intersections mean something else in the Oniguruma dialect of tokenizer.json files. */
static bool has_nested_sets(hn_str pattern) {
    bool inside = false;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.data[i], next = i + 1 < pattern.len ? pattern.data[i + 1] : 0;
        if (c == '\\')
            i++;
        else if (!inside && c == '[') {
            inside = true;
            if (next == '^') i++;
            if (i + 1 < pattern.len && pattern.data[i + 1] == ']') i++;
        } else if (inside && c == ']')
            inside = false;
        else if (inside && ((c == '[' && next != ':') || (c == '&' && next == '&')))
            return true;
        else if (inside && c == '[') { /* [:alpha:] */
            while (i < pattern.len && pattern.data[i] != ']') i++;
        }
    }
    return false;
}

hn_status hn_pretokenizer_add_regex(hn_pretokenizer *p, hn_str pattern, hn_split how, bool invert, hn_error *err) {
    hn_step step = {.kind = HN_STEP_REGEX, .how = how, .invert = invert, .text_len = pattern.len};
    /* A scanner covers all of the text, so joined with "removed and inverted" or "isolated" its words are the
     * matches. */
    bool all_words = (how == HN_SPLIT_ISOLATED && !invert) || (how == HN_SPLIT_REMOVED && invert);
    for (size_t i = 0; all_words && i < sizeof scanners / sizeof *scanners; i++)
        if (hn_str_equal(pattern, hn_str_of(scanners[i].pattern)))
            return hn_pretokenizer_add(p, (hn_step){.kind = HN_STEP_SCAN, .scan = scanners[i].scan}, err);
    if (has_nested_sets(pattern))
        return hn_fail(err, HN_ERR_UNSUPPORTED, "pre_tokenizer", NULL, "the pattern %.200s has a set inside a set",
                       pattern.len ? pattern.data : "");
    HN_TRY(hn_regex_compile(pattern.data, pattern.len, &step.regex, err));
    step.text = hn_strndup(pattern.data, pattern.len);
    if (!step.text) {
        hn_regex_free(step.regex);
        return hn_fail_memory(err, pattern.len);
    }
    return hn_pretokenizer_add(p, step, err);
}

void hn_pretokenizer_free(hn_pretokenizer *p) {
    for (size_t i = 0; i < p->n_steps; i++) {
        hn_regex_free(p->steps[i].regex);
        hn_free(p->steps[i].text);
    }
    p->n_steps = 0;
}

hn_scan *hn_pretokenizer_scanner(const hn_pretokenizer *p) {
    return p->n_steps == 1 && p->steps[0].kind == HN_STEP_SCAN ? p->steps[0].scan : NULL;
}

/* --- cutting --- */

void hn_words_free(hn_words *w) {
    hn_free(w->spans);
    hn_free(w->spare);
    hn_buf_free(&w->own);
    hn_regex_scratch_free(w->scratch);
    *w = (hn_words){0};
}

static hn_status put(hn_words *w, size_t start, size_t end, hn_error *err) {
    if (start >= end) return HN_OK; /* empty words are dropped */
    if (!hn_grow((void **)&w->spare, &w->spare_capacity, w->n_spare + 1, sizeof *w->spare))
        return hn_fail_memory(err, w->n_spare * sizeof *w->spare);
    w->spare[w->n_spare++] = (hn_span){(uint32_t)start, (uint32_t)end};
    return HN_OK;
}

static void swap_spans(hn_words *w) {
    hn_span *spans = w->spans;
    size_t capacity = w->capacity;
    w->spans = w->spare;
    w->capacity = w->spare_capacity;
    w->n = w->n_spare;
    w->spare = spans;
    w->spare_capacity = capacity;
    w->n_spare = 0;
}

/* Takes the pieces of one word in order, each a match or a gap, and joins or drops them as `how` says. */
typedef struct joiner {
    hn_words *words;
    hn_split how;
    bool invert, open,
        open_match; /* a span that the next piece may still be joined to, and whether it ends in a match */
    size_t start, end;
} joiner;

static hn_status join_flush(joiner *j, hn_error *err) {
    bool open = j->open;
    j->open = false;
    return open ? put(j->words, j->start, j->end, err) : HN_OK;
}

static hn_status join_piece(joiner *j, size_t start, size_t end, bool match, hn_error *err) {
    if (j->invert) match = !match;
    if (j->how == HN_SPLIT_REMOVED && match) return HN_OK;
    if (j->how == HN_SPLIT_REMOVED || j->how == HN_SPLIT_ISOLATED) return put(j->words, start, end, err);
    bool joined = j->how == HN_SPLIT_PREVIOUS ? match && !j->open_match
                  : j->how == HN_SPLIT_NEXT   ? !match && j->open_match
                                              : match == j->open_match;
    if (j->open && joined)
        j->end = end;
    else {
        HN_TRY(join_flush(j, err));
        j->open = true;
        j->start = start;
        j->end = end;
    }
    j->open_match = match;
    return HN_OK;
}

/* The next match in text[at..end): an empty one is only a place to cut at. */
static hn_status next_match(hn_words *w, const hn_step *step, hn_span span, size_t at, hn_regex_match *m,
                            hn_error *err) {
    const char *word = w->text + span.start;
    size_t n = span.end - span.start;
    *m = (hn_regex_match){0};
    if (step->kind == HN_STEP_REGEX) return hn_regex_find(step->regex, w->scratch, word, n, at, m, err);
    if (step->kind == HN_STEP_LITERAL) {
        const char *found = step->text_len && at < n ? memmem(word + at, n - at, step->text, step->text_len) : NULL;
        if (found) *m = (hn_regex_match){true, (size_t)(found - word), (size_t)(found - word) + step->text_len};
        return HN_OK;
    }
    while (at < n) {
        uint32_t cp;
        size_t len = hn_utf8_decode(word + at, n - at, &cp);
        bool is = step->kind == HN_STEP_DIGITS
                      ? hn_unicode_is_number(cp)
                      : hn_unicode_is_punctuation(cp) || (cp < 128 && hn_unicode_is_symbol(cp));
        if (is) {
            *m = (hn_regex_match){true, at, at + len};
            return HN_OK;
        }
        at += len;
    }
    return HN_OK;
}

static hn_status cut_word(hn_words *w, const hn_step *step, hn_span span, hn_error *err) {
    joiner j = {.words = w, .how = step->how, .invert = step->invert};
    size_t n = span.end - span.start, done = 0, from = 0;
    while (from <= n) {
        hn_regex_match m;
        HN_TRY(next_match(w, step, span, from, &m, err));
        if (!m.found) break;
        if (m.start > done) HN_TRY(join_piece(&j, span.start + done, span.start + m.start, false, err));
        HN_TRY(join_piece(&j, span.start + m.start, span.start + m.end, true,
                          err)); /* an empty one parts its neighbours */
        done = m.end;
        from = m.end;
        if (m.end == m.start) { /* empty: go on after the next character */
            uint32_t cp;
            if (from < n)
                from += hn_utf8_decode(w->text + span.start + from, n - from, &cp);
            else
                break;
        }
    }
    if (done < n) HN_TRY(join_piece(&j, span.start + done, span.start + n, false, err));
    return join_flush(&j, err);
}

static hn_status cut_by_scan(hn_words *w, hn_scan *scan, hn_span span, hn_error *err) {
    const char *word = w->text + span.start;
    size_t n = span.end - span.start;
    for (size_t at = 0; at < n;) {
        size_t end = scan(word, n, at);
        HN_TRY(put(w, span.start + at, span.start + end, err));
        at = end;
    }
    return HN_OK;
}

/* --- rewriting --- */

static const char meta[] = "\xE2\x96\x81"; /* U+2581 */

static hn_status metaspace_word(hn_words *w, const hn_step *step, hn_span span, bool first, hn_buf *out,
                                hn_error *err) {
    const char *word = w->text + span.start;
    size_t n = span.end - span.start, start = out->len;
    bool has = word[0] == ' ' || (n >= 3 && memcmp(word, meta, 3) == 0);
    if (!has && (step->prefix == HN_PREFIX_ALWAYS || (step->prefix == HN_PREFIX_FIRST && first)))
        hn_buf_append(out, meta, 3);
    for (size_t i = 0; i < n; i++) {
        bool is_meta = n - i >= 3 && memcmp(word + i, meta, 3) == 0;
        if (step->cut && (word[i] == ' ' || is_meta) && i > 0) {
            HN_TRY(put(w, start, out->len, err));
            start = out->len;
        }
        if (word[i] == ' ')
            hn_buf_append(out, meta, 3);
        else
            hn_buf_append_char(out, word[i]);
    }
    return put(w, start, out->len, err);
}

static hn_status rewrite_word(hn_words *w, const hn_step *step, hn_span span, bool first, hn_buf *out, hn_error *err) {
    size_t start = out->len;
    if (step->kind == HN_STEP_METASPACE) return metaspace_word(w, step, span, first, out, err);
    if (step->kind == HN_STEP_PREFIX_SPACE) {
        if (w->text[span.start] != ' ') hn_buf_append_char(out, ' ');
        hn_buf_append(out, w->text + span.start, span.end - span.start);
        return put(w, start, out->len, err);
    }
    for (size_t i = span.start; i < span.end; i++) {
        char c[4];
        hn_buf_append(out, c, hn_alphabet_encode((unsigned char)w->text[i], c));
    }
    return put(w, start, out->len, err);
}

static hn_status rewrite(hn_words *w, const hn_step *step, bool first, hn_error *err) {
    hn_buf out;
    hn_buf_init(&out, UINT32_MAX / 2);
    hn_status st = HN_OK;
    for (size_t i = 0; st == HN_OK && i < w->n; i++)
        st = rewrite_word(w, step, w->spans[i], first && w->spans[i].start == 0, &out, err);
    if (st == HN_OK) st = hn_buf_check(&out, "the text with its spaces marked", err);
    if (st != HN_OK) {
        hn_buf_free(&out);
        return st;
    }
    swap_spans(w);
    hn_buf_free(&w->own);
    w->own = out;
    w->text = hn_buf_str(&w->own);
    w->text_len = w->own.len;
    return HN_OK;
}

static hn_status run_step(hn_words *w, const hn_step *step, bool first, hn_error *err) {
    if (step->kind >= HN_STEP_PREFIX_SPACE) return rewrite(w, step, first, err);
    if (step->kind == HN_STEP_REGEX && !w->scratch) {
        w->scratch = hn_regex_scratch_create();
        if (!w->scratch) return hn_fail_memory(err, 0);
    }
    for (size_t i = 0; i < w->n; i++) {
        if (step->kind == HN_STEP_SCAN)
            HN_TRY(cut_by_scan(w, step->scan, w->spans[i], err));
        else
            HN_TRY(cut_word(w, step, w->spans[i], err));
    }
    swap_spans(w);
    return HN_OK;
}

hn_status hn_pretokenize(const hn_pretokenizer *p, const char *text, size_t n, bool first, hn_words *w, hn_error *err) {
    w->text = text;
    w->text_len = n;
    w->n = w->n_spare = 0;
    HN_TRY(put(w, 0, n, err));
    swap_spans(w);
    for (size_t i = 0; i < p->n_steps; i++) {
        hn_status st = run_step(w, &p->steps[i], first, err);
        w->n_spare = 0;
        if (st != HN_OK) return st;
    }
    return HN_OK;
}

/* --- GPT-2's byte alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 on --- */

static bool stands_for_itself(unsigned c) {
    return (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255);
}

size_t hn_alphabet_encode(unsigned char byte, char out[4]) {
    unsigned c = byte;
    if (stands_for_itself(c)) return hn_utf8_encode(c, out);
    /* the others, counted: 0-32 are 0-32, 127-160 are 33-66, 173 is 67 */
    unsigned k = c <= 32 ? c : c <= 160 ? c - 127 + 33 : 67;
    return hn_utf8_encode(256 + k, out);
}

int hn_alphabet_decode(uint32_t cp) {
    if (cp < 256) return stands_for_itself(cp) ? (int)cp : -1;
    unsigned k = cp - 256;
    return k <= 32 ? (int)k : k <= 66 ? (int)(k - 33 + 127) : k == 67 ? 173 : -1;
}
