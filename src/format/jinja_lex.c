/* Jinja's lexer: template text to tokens, with the white space rules of trim_blocks and lstrip_blocks; see
 * jinja_parse.h.
 * Surprise: `{{-` always reads the minus as a white space sign, never as a negation; `}}` inside open brackets is two
 * closing braces. */
#include "format/jinja_parse.h"

#include "base/str.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct lexer {
    hn_jinja *t;
    size_t pos;
    bool line_starting; /* the last tag ended with a newline, or nothing was read yet */
    hn_jn_token *tokens;
    size_t n, capacity;
    char brackets[HN_JN_NESTING_MAX]; /* open ones inside a tag, by their closing character */
    int n_brackets;
    hn_error *err;
} lexer;

hn_status hn_jn_fail_at(const hn_jinja *t, size_t at, hn_status code, hn_error *err, const char *hint, const char *fmt,
                        ...) {
    size_t line = 1, start = 0;
    for (size_t i = 0; i < at && i < t->len; i++)
        if (t->text[i] == '\n') line++, start = i + 1;
    if (at > t->len) at = t->len;
    char where[384], message[640];
    snprintf(where, sizeof where, "%.300s:%zu:%zu", t->name, line, hn_utf8_count(t->text + start, at - start) + 1);
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    return hn_fail(err, code, where, hint, "%s", message);
}

static hn_status push(lexer *x, hn_jn_token token) {
    if (x->n >= HN_JN_TOKENS_MAX)
        return hn_jn_fail_at(x->t, token.at, HN_ERR_LIMIT, x->err, "make the template shorter",
                             "a template of more than %d tokens", HN_JN_TOKENS_MAX);
    if (x->n == x->capacity) { /* grows in the arena; the old block is dropped with it */
        size_t capacity = x->capacity ? x->capacity * 2 : 64;
        hn_jn_token *grown = hn_arena_calloc(x->t->arena, capacity, sizeof *grown);
        if (!grown) return hn_fail_memory(x->err, capacity * sizeof *grown);
        if (x->n) memcpy(grown, x->tokens, x->n * sizeof *grown);
        x->tokens = grown;
        x->capacity = capacity;
    }
    x->tokens[x->n++] = token;
    return HN_OK;
}

static hn_status push_text(lexer *x, hn_jn_token_type type, size_t from, size_t to) {
    return push(x, (hn_jn_token){.type = type, .at = from, .text = x->t->text + from, .len = to - from});
}

/* Bytes of the white space character at `pos`, 0: there is none. */
static size_t space_at(const hn_jinja *t, size_t pos) {
    if (pos >= t->len) return 0;
    uint32_t cp;
    size_t used = hn_utf8_decode(t->text + pos, t->len - pos, &cp);
    return hn_jn_is_space(cp) ? used : 0;
}

static size_t skip_space(const hn_jinja *t, size_t pos) {
    for (size_t used; (used = space_at(t, pos)) > 0;) pos += used;
    return pos;
}

static bool all_space(const hn_jinja *t, size_t from, size_t to) { return from < to && skip_space(t, from) >= to; }

static size_t trim_right(const hn_jinja *t, size_t from, size_t to) {
    size_t end = from;
    for (size_t i = from; i < to;) {
        size_t used = space_at(t, i);
        if (used) {
            i += used;
            continue;
        }
        uint32_t cp;
        i += hn_utf8_decode(t->text + i, t->len - i, &cp);
        end = i;
    }
    return end < to ? end : to;
}

static bool at_text(const hn_jinja *t, size_t pos, const char *text) {
    size_t n = strlen(text);
    return pos <= t->len && t->len - pos >= n && memcmp(t->text + pos, text, n) == 0;
}

/* Offset of the next tag from `pos`, or the end. */
static size_t next_tag(const hn_jinja *t, size_t pos) {
    for (; pos + 1 < t->len; pos++)
        if (t->text[pos] == '{' && (t->text[pos + 1] == '{' || t->text[pos + 1] == '%' || t->text[pos + 1] == '#'))
            return pos;
    return t->len;
}

/* Where the text before a tag ends, after the tag's sign and lstrip_blocks took their white space. */
static size_t data_end(const lexer *x, size_t from, size_t tag, char sign, bool is_print) {
    const hn_jinja *t = x->t;
    if (sign == '-') return trim_right(t, from, tag);
    if (sign == '+' || is_print) return tag;
    size_t line = tag;
    while (line > from && t->text[line - 1] != '\n') line--;
    bool own_line = line > from || x->line_starting;
    return own_line && all_space(t, line, tag) ? line : tag;
}

/* After a closing delimiter: `-` eats all white space, otherwise trim_blocks eats one newline unless the sign is `+`.
 * */
static size_t after_tag(lexer *x, size_t pos, char sign, bool trim_newline) {
    size_t end = pos;
    if (sign == '-')
        end = skip_space(x->t, pos);
    else if (sign != '+' && trim_newline && pos < x->t->len && x->t->text[pos] == '\n')
        end = pos + 1;
    x->line_starting = end > pos && x->t->text[end - 1] == '\n';
    return end;
}

static hn_status comment(lexer *x, size_t tag, size_t pos) {
    const hn_jinja *t = x->t;
    for (size_t i = pos; i + 1 < t->len; i++) {
        if (t->text[i] != '#' || t->text[i + 1] != '}') continue;
        char sign = i > pos ? t->text[i - 1] : 0;
        x->pos = after_tag(x, i + 2, sign == '-' || sign == '+' ? sign : 0, true);
        return HN_OK;
    }
    return hn_jn_fail_at(t, tag, HN_ERR_TEMPLATE, x->err, "close it with #}", "a comment without its end");
}

/* The offset behind `word` and the closing delimiter in a tag whose inside starts at `pos`, or 0; *sign gets the sign
 * before %}. */
static size_t word_tag(const hn_jinja *t, size_t pos, const char *word, bool plus, char *sign) {
    pos = skip_space(t, pos);
    if (!at_text(t, pos, word)) return 0;
    pos = skip_space(t, pos + strlen(word));
    *sign = 0;
    if (at_text(t, pos, "-%}") || (plus && at_text(t, pos, "+%}"))) *sign = t->text[pos++];
    return at_text(t, pos, "%}") ? pos + 2 : 0;
}

static size_t after_sign(const hn_jinja *t, size_t pos, char *sign) {
    *sign = pos < t->len && (t->text[pos] == '-' || t->text[pos] == '+') ? t->text[pos] : 0;
    return *sign ? pos + 1 : pos;
}

/* {% raw %} was read up to `pos`: its text up to {% endraw %} is data. */
static hn_status raw(lexer *x, size_t tag, size_t pos) {
    const hn_jinja *t = x->t;
    for (size_t i = pos; i + 1 < t->len; i++) {
        if (t->text[i] != '{' || t->text[i + 1] != '%') continue;
        char open_sign, close_sign;
        size_t end = word_tag(t, after_sign(t, i + 2, &open_sign), "endraw", true, &close_sign);
        if (!end) continue;
        size_t stop = data_end(x, pos, i, open_sign, false);
        if (stop > pos) HN_TRY(push_text(x, HN_JN_TOKEN_DATA, pos, stop));
        x->pos = after_tag(x, end, close_sign, true);
        return HN_OK;
    }
    return hn_jn_fail_at(t, tag, HN_ERR_TEMPLATE, x->err, "close it with {% endraw %}", "`raw` without its end");
}

/* ---- inside a tag ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int digit_value(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

static bool is_name_part(uint32_t cp) {
    if (cp < 128) return cp == '_' || is_digit((char)cp) || (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z');
    return hn_unicode_is_letter(cp) || hn_unicode_is_mark(cp) || hn_unicode_is_number(cp);
}

/* One escape behind the backslash at `i`; appends to `out` and returns the offset behind it; SIZE_MAX: malformed. */
static size_t unescape(const hn_jinja *t, size_t i, size_t end, char **out) {
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = t->text[i + 1];
    const char *simple = c ? strchr(from, c) : NULL;
    int width = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (c == '\n') return i + 2;
    if (simple) {
        *(*out)++ = to[simple - from];
        return i + 2;
    }
    uint32_t cp = 0;
    size_t at = i + 1;
    if (width) {
        for (at++; width > 0; width--, at++) {
            if (at >= end || digit_value(t->text[at]) > 15) return SIZE_MAX;
            cp = cp * 16 + (uint32_t)digit_value(t->text[at]);
        }
        if (cp > 0x10FFFF) return SIZE_MAX;
    } else if (c >= '0' && c <= '7') {
        for (int k = 0; k < 3 && at < end && t->text[at] >= '0' && t->text[at] <= '7'; k++, at++)
            cp = cp * 8 + (uint32_t)digit_value(t->text[at]);
    } else {
        *(*out)++ = '\\'; /* an unknown escape stays as it is */
        return i + 1;
    }
    *out += hn_utf8_encode(cp, *out);
    return at;
}

static hn_status string(lexer *x) {
    const hn_jinja *t = x->t;
    size_t start = x->pos, end = start + 1;
    char quote = t->text[start];
    while (end < t->len && t->text[end] != quote) end += t->text[end] == '\\' ? 2 : 1;
    if (end >= t->len)
        return hn_jn_fail_at(t, start, HN_ERR_TEMPLATE, x->err, "close the quote", "a string without its end");
    char *text = hn_arena_alloc(t->arena, end - start + 1); /* escapes are never shorter than what they stand for */
    if (!text) return hn_fail_memory(x->err, end - start + 1);
    char *out = text;
    for (size_t i = start + 1; i < end;) {
        if (t->text[i] != '\\') {
            *out++ = t->text[i++];
            continue;
        }
        size_t next = unescape(t, i, end, &out);
        if (next == SIZE_MAX)
            return hn_jn_fail_at(t, i, HN_ERR_TEMPLATE, x->err, "write \\xHH, \\uHHHH or \\UHHHHHHHH",
                                 "a malformed escape in a string");
        i = next;
    }
    x->pos = end + 1;
    return push(x, (hn_jn_token){.type = HN_JN_TOKEN_STRING, .at = start, .text = text, .len = (size_t)(out - text)});
}

/* The end of digits with single underscores between them. */
static size_t digits_end(const hn_jinja *t, size_t pos, int base) {
    while (pos < t->len && (digit_value(t->text[pos]) < base ||
                            (t->text[pos] == '_' && pos + 1 < t->len && digit_value(t->text[pos + 1]) < base)))
        pos++;
    return pos;
}

static hn_status number(lexer *x) {
    const hn_jinja *t = x->t;
    size_t start = x->pos;
    int base = 10;
    char second = start + 2 < t->len && t->text[start] == '0' ? (char)(t->text[start + 1] | 32) : 0;
    if (second == 'x' || second == 'b' || second == 'o') base = second == 'x' ? 16 : second == 'o' ? 8 : 2;
    if (base != 10 && digit_value(t->text[start + 2]) >= base) base = 10;
    size_t first = base == 10 ? start : start + 2, end = digits_end(t, first, base);
    bool real = false, after_dot = start > 0 && t->text[start - 1] == '.';
    if (base == 10 && !after_dot) {
        size_t at = end;
        if (at + 1 < t->len && t->text[at] == '.' && is_digit(t->text[at + 1]))
            real = true, at = digits_end(t, at + 1, 10);
        size_t exponent = at;
        if (exponent < t->len && (t->text[exponent] | 32) == 'e') {
            exponent++;
            if (exponent < t->len && (t->text[exponent] == '+' || t->text[exponent] == '-')) exponent++;
            if (exponent < t->len && is_digit(t->text[exponent])) real = true, at = digits_end(t, exponent, 10);
        }
        end = at;
    }
    hn_jn_token token = {.type = real ? HN_JN_TOKEN_FLOAT : HN_JN_TOKEN_INTEGER,
                         .at = start,
                         .text = t->text + start,
                         .len = end - start};
    char digits[400];
    size_t n = 0;
    bool fits = true;
    for (size_t i = first; i < end && fits; i++) {
        if (t->text[i] == '_') continue;
        if (n + 1 < sizeof digits)
            digits[n++] = t->text[i];
        else
            fits = false;
        if (!real)
            fits = fits && !__builtin_mul_overflow(token.integer, (int64_t)base, &token.integer) &&
                   !__builtin_add_overflow(token.integer, (int64_t)digit_value(t->text[i]), &token.integer);
    }
    digits[n] = 0;
    if (real && fits) fits = hn_parse_double(digits, &token.real);
    if (!fits)
        return hn_jn_fail_at(t, start, HN_ERR_TEMPLATE, x->err, "integers have 64 bits", "a number that is too large");
    x->pos = end;
    return push(x, token);
}

static hn_status name(lexer *x) {
    const hn_jinja *t = x->t;
    size_t start = x->pos, end = start;
    while (end < t->len) {
        uint32_t cp;
        size_t used = hn_utf8_decode(t->text + end, t->len - end, &cp);
        if (!is_name_part(cp)) break;
        end += used;
    }
    if (end == start) {
        uint32_t cp;
        size_t used = hn_utf8_decode(t->text + start, t->len - start, &cp);
        return hn_jn_fail_at(t, start, HN_ERR_TEMPLATE, x->err, "text outside of strings must be an expression",
                             "unexpected character `%.*s`", (int)used, t->text + start);
    }
    x->pos = end;
    return push_text(x, HN_JN_TOKEN_NAME, start, end);
}

/* Keeps count of brackets, so that }} can close two dictionaries. */
static hn_status bracket(lexer *x, char c) {
    const char *at = strchr("([{", c);
    if (at && c) {
        if (x->n_brackets >= HN_JN_NESTING_MAX)
            return hn_jn_fail_at(x->t, x->pos, HN_ERR_LIMIT, x->err, "make it flatter",
                                 "brackets nested deeper than %d", HN_JN_NESTING_MAX);
        x->brackets[x->n_brackets++] = ")]}"[at - "([{"];
    } else if (c == ')' || c == ']' || c == '}') {
        if (x->n_brackets == 0 || x->brackets[x->n_brackets - 1] != c)
            return hn_jn_fail_at(x->t, x->pos, HN_ERR_TEMPLATE, x->err, "check the brackets before it",
                                 "unexpected `%c`", c);
        x->n_brackets--;
    }
    return HN_OK;
}

static hn_status operator_token(lexer *x, bool *found) {
    static const char *const operators[] = {"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<",
                                            ">",  "=",  ".",  ",",  ":",  "|",  "(", ")", "[", "]", "{", "}", ";"};
    *found = false;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!at_text(x->t, x->pos, operators[i])) continue;
        *found = true;
        size_t start = x->pos, n = strlen(operators[i]);
        if (n == 1) HN_TRY(bracket(x, operators[i][0]));
        x->pos += n;
        return push(x, (hn_jn_token){.type = HN_JN_TOKEN_OPERATOR, .at = start, .text = operators[i], .len = n});
    }
    return HN_OK;
}

/* The closing delimiter at the current place, where there is one. */
static hn_status tag_end(lexer *x, bool is_print, bool *ended) {
    const hn_jinja *t = x->t;
    const char *close = is_print ? "}}" : "%}";
    char sign = 0;
    size_t pos = x->pos;
    *ended = false;
    if (x->n_brackets) return HN_OK;
    if (pos < t->len && (t->text[pos] == '-' || (t->text[pos] == '+' && !is_print)) && at_text(t, pos + 1, close))
        sign = t->text[pos++];
    if (!at_text(t, pos, close)) return HN_OK;
    *ended = true;
    HN_TRY(push_text(x, is_print ? HN_JN_TOKEN_PRINT_END : HN_JN_TOKEN_BLOCK_END, x->pos, pos + 2));
    x->pos = after_tag(x, pos + 2, sign, !is_print);
    return HN_OK;
}

static hn_status tag(lexer *x, size_t start, bool is_print) {
    const hn_jinja *t = x->t;
    HN_TRY(push_text(x, is_print ? HN_JN_TOKEN_PRINT : HN_JN_TOKEN_BLOCK, start, start + 2));
    x->n_brackets = 0;
    for (;;) {
        bool done;
        x->pos = skip_space(t, x->pos);
        if (x->pos >= t->len)
            return hn_jn_fail_at(t, start, HN_ERR_TEMPLATE, x->err, is_print ? "close it with }}" : "close it with %}",
                                 "a tag without its end");
        HN_TRY(tag_end(x, is_print, &done));
        if (done) return HN_OK;
        char c = t->text[x->pos];
        if (is_digit(c)) {
            HN_TRY(number(x));
        } else if (c == '"' || c == '\'') {
            HN_TRY(string(x));
        } else {
            HN_TRY(operator_token(x, &done));
            if (!done) HN_TRY(name(x));
        }
    }
}

hn_status hn_jn_lex(hn_jinja *t, hn_jn_token **tokens, size_t *n, hn_error *err) {
    lexer x = {.t = t, .line_starting = true, .err = err};
    while (x.pos < t->len) {
        size_t start = next_tag(t, x.pos);
        if (start == t->len) {
            HN_TRY(push_text(&x, HN_JN_TOKEN_DATA, x.pos, t->len));
            break;
        }
        char kind = t->text[start + 1], sign, raw_sign;
        size_t inside = after_sign(t, start + 2, &sign);
        size_t end = data_end(&x, x.pos, start, sign, kind == '{');
        if (end > x.pos) HN_TRY(push_text(&x, HN_JN_TOKEN_DATA, x.pos, end));
        size_t raw_text = kind == '%' ? word_tag(t, inside, "raw", false, &raw_sign) : 0;
        x.pos = inside;
        x.line_starting = false;
        if (kind == '#') {
            HN_TRY(comment(&x, start, inside));
        } else if (raw_text) {
            HN_TRY(raw(&x, start, raw_sign == '-' ? skip_space(t, raw_text) : raw_text));
        } else {
            HN_TRY(tag(&x, start, kind == '{'));
        }
    }
    HN_TRY(push(&x, (hn_jn_token){.type = HN_JN_TOKEN_END, .at = t->len, .text = "", .len = 0}));
    *tokens = x.tokens;
    *n = x.n;
    return HN_OK;
}
