/* Hand-written scanners for the patterns of well-known vocabularies; see pretokenize.h. Each does what its regular
 * expression
 * does (tests compare them), in one pass and without backtracking.
 * Surprise: (?i:'s) also takes U+017F, the long s, since Unicode folds it to s. */
#include "model/pretokenize.h"

#include "base/utf8.h"

/* Classes of characters, as bits so that a run can take several. */
enum { LETTER = 1, NUMBER = 2, SPACE = 4, NEWLINE = 8, MARK = 16, OTHER = 32, WHITE = SPACE | NEWLINE };

#define L LETTER
#define N NUMBER
#define O OTHER
#define S SPACE
static const unsigned char ascii_class[128] = {
    O, O, O, O, O, O, O, O, O, S, NEWLINE, S, S, NEWLINE, O, O,
    O, O, O, O, O, O, O, O, O, O, O,       O, O, O,       O, O, /* controls */
    S, O, O, O, O, O, O, O, O, O, O,       O, O, O,       O, O,
    N, N, N, N, N, N, N, N, N, N, O,       O, O, O,       O, O, /* space to ? */
    O, L, L, L, L, L, L, L, L, L, L,       L, L, L,       L, L,
    L, L, L, L, L, L, L, L, L, L, L,       O, O, O,       O, O, /* @ to _ */
    O, L, L, L, L, L, L, L, L, L, L,       L, L, L,       L, L,
    L, L, L, L, L, L, L, L, L, L, L,       O, O, O,       O, O, /* ` to DEL */
};
#undef L
#undef N
#undef O
#undef S

typedef struct glyph {
    unsigned class;
    size_t len;
} glyph;

static __attribute__((noinline)) glyph wide_glyph(const char *text, size_t n, size_t at) {
    uint32_t cp;
    glyph g = {OTHER, 0};
    bool valid = hn_utf8_decode_strict(text + at, n - at, &cp, &g.len);
    if (!valid) return g;
    /* Most of what is written: Latin, Cyrillic, Han and Hangul letters. */
    bool common = cp < 0x250
                      ? cp >= 0xC0 && cp != 0xD7 && cp != 0xF7
                      : (cp >= 0x400 && cp < 0x482) || (cp >= 0x4E00 && cp < 0x9FFD) || (cp >= 0xAC00 && cp < 0xD7A4);
    if (common) {
        g.class = LETTER;
        return g;
    }
    if (hn_unicode_is_letter(cp))
        g.class = LETTER;
    else if (hn_unicode_is_number(cp))
        g.class = NUMBER;
    else if (hn_unicode_is_space(cp))
        g.class = SPACE;
    else if (hn_unicode_is_mark(cp))
        g.class = MARK;
    return g;
}

/* The character at `at`; past the end: class 0. */
static inline glyph glyph_at(const char *text, size_t n, size_t at) {
    if (at >= n) return (glyph){0, 0};
    unsigned char c = (unsigned char)text[at];
    return c < 128 ? (glyph){ascii_class[c], 1} : wide_glyph(text, n, at);
}

static inline size_t run(const char *text, size_t n, size_t at, unsigned classes) {
    for (;;) {
        glyph g = glyph_at(text, n, at);
        if (!(g.class & classes)) return at;
        at += g.len;
    }
}

static inline char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* Bytes of 's 't 'm 'd 're 've 'll at `at`, which is an apostrophe; 0: none of them. */
static inline size_t contraction(const char *text, size_t n, size_t at, bool fold) {
    if (at + 1 >= n) return 0;
    char a = fold ? lower(text[at + 1]) : text[at + 1];
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if (at + 2 >= n) return 0;
    if (fold && (unsigned char)text[at + 1] == 0xC5 && (unsigned char)text[at + 2] == 0xBF) return 3; /* long s */
    char b = fold ? lower(text[at + 2]) : text[at + 2];
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* White space at `at`: the run without its last character where something follows it, which takes that one along. */
static inline size_t white_run(const char *text, size_t n, size_t at, size_t *last) {
    size_t end = at;
    for (;;) {
        glyph g = glyph_at(text, n, end);
        if (!(g.class & WHITE)) return end;
        *last = end;
        end += g.len;
    }
}

static inline size_t gpt2(const char *text, size_t n, size_t at, bool digits_alone) {
    if (text[at] == '\'') {
        size_t len = contraction(text, n, at, false);
        if (len) return at + len;
    }
    glyph g = glyph_at(text, n, at);
    if (text[at] == ' ') {
        glyph next = glyph_at(text, n, at + 1);
        if (next.class && !(next.class & (digits_alone ? WHITE | NUMBER : WHITE))) {
            at++;
            g = next;
        }
    }
    if (g.class == LETTER) return run(text, n, at + g.len, LETTER);
    if (g.class == NUMBER) return digits_alone ? at + g.len : run(text, n, at + g.len, NUMBER);
    if (!(g.class & WHITE)) return run(text, n, at + g.len, OTHER | MARK);
    size_t last = at, end = white_run(text, n, at, &last);
    if (end == n || (digits_alone && glyph_at(text, n, end).class == NUMBER)) return end;
    return last > at ? last : end;
}

size_t hn_scan_gpt2(const char *text, size_t n, size_t at) { return gpt2(text, n, at, false); }
size_t hn_scan_smollm(const char *text, size_t n, size_t at) { return gpt2(text, n, at, true); }

static inline size_t white_llama3(const char *text, size_t n, size_t at) {
    size_t end = at, last = at, after_newline = 0;
    for (;;) {
        glyph g = glyph_at(text, n, end);
        if (!(g.class & WHITE)) break;
        last = end;
        end += g.len;
        if (g.class == NEWLINE) after_newline = end;
    }
    if (after_newline) return after_newline;
    return end < n && last > at ? last : end;
}

static inline size_t llama3(const char *text, size_t n, size_t at, int max_digits, unsigned letters) {
    if (text[at] == '\'') {
        size_t len = contraction(text, n, at, true);
        if (len) return at + len;
    }
    glyph g = glyph_at(text, n, at);
    if (g.class & letters) return run(text, n, at + g.len, letters);
    if (g.class == NUMBER) {
        size_t end = at + g.len;
        for (int i = 1; i < max_digits; i++) {
            glyph next = glyph_at(text, n, end);
            if (next.class != NUMBER) break;
            end += next.len;
        }
        return end;
    }
    glyph next = glyph_at(text, n, at + g.len);
    if (g.class != NEWLINE && (next.class & letters)) return run(text, n, at + g.len + next.len, letters);
    unsigned others = (OTHER | MARK) & ~letters;
    if (text[at] == ' ' && (next.class & others)) {
        at++;
        g = next;
    }
    if (g.class & others) return run(text, n, run(text, n, at + g.len, others), NEWLINE);
    return white_llama3(text, n, at);
}

size_t hn_scan_llama3(const char *text, size_t n, size_t at) { return llama3(text, n, at, 3, LETTER); }
size_t hn_scan_qwen2(const char *text, size_t n, size_t at) { return llama3(text, n, at, 1, LETTER); }
size_t hn_scan_qwen35(const char *text, size_t n, size_t at) { return llama3(text, n, at, 1, LETTER | MARK); }

size_t hn_scan_newlines(const char *text, size_t n, size_t at) {
    bool newline = text[at] == '\n';
    while (at < n && (text[at] == '\n') == newline) at++;
    return at;
}
