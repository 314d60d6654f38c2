/* Patterns of JSON Schema: ECMA-262 with the u flag, run by PCRE2 in UTF mode.
 * The dialects differ, so the pattern is rewritten first: \s, '.', \v, \0 and property names get what ECMA means by
 * them; what only PCRE knows (atomic groups, verbs, recursion, possessive repeats, \A, \Z, inline flags) is an error
 * rather than a silent extension. The interpreter runs them, not the JIT: its match limit bounds the work tightly,
 * and patterns here meet hostile text. */
#include "format/json_schema_internal.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>

enum { PATTERN_MAX = 64 << 10, MATCH_LIMIT = 200 * 1000, HEAP_LIMIT_KIB = 16 << 10 };

struct hn_schema_scratch {
    pcre2_general_context *memory;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static void *take(PCRE2_SIZE n, void *unused) {
    (void)unused;
    return hn_alloc(n);
}

static void give(void *memory, void *unused) {
    (void)unused;
    hn_free(memory);
}

/* ---- ECMA into PCRE ---- */

typedef struct rewrite {
    const char *at, *end;
    hn_buf out;
    const char *problem; /* NULL: fine so far */
    bool in_class;
    bool repeated; /* the last thing was a quantifier */
} rewrite;

#define SPACES "\\u0009-\\u000d\\u0020\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff"
#define NO_SPACES                                                                                                      \
    "\\x00-\\x08\\u000e-\\u001f\\u0021-\\u009f\\u00a1-\\u167f\\u1681-\\u1fff\\u200b-\\u2027\\u202a-\\u202e"            \
    "\\u2030-\\u205e\\u2060-\\u2fff\\u3001-\\ufefe\\uff00-\\u{10ffff}"

static const char *const categories[][2] = {
    {"Letter", "L"},
    {"Cased_Letter", "L&"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Connector_Punctuation", "Pc"},
    {"Dash_Punctuation", "Pd"},
    {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"},
    {"Initial_Punctuation", "Pi"},
    {"Final_Punctuation", "Pf"},
    {"Other_Punctuation", "Po"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Modifier_Symbol", "Sk"},
    {"Other_Symbol", "So"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Format", "Cf"},
    {"Surrogate", "Cs"},
    {"Private_Use", "Co"},
    {"Unassigned", "Cn"},
};

/* \p{...}: `r->at` is behind the 'p'. */
static void rewrite_property(rewrite *r, char p) {
    const char *close = r->at < r->end && *r->at == '{' ? memchr(r->at, '}', (size_t)(r->end - r->at)) : NULL;
    if (!close || close - r->at > 60) {
        r->problem = "\\p needs a property's name in braces, such as \\p{L}";
        return;
    }
    const char *name = r->at + 1, *equals = memchr(name, '=', (size_t)(close - name));
    size_t n = (size_t)(close - name);
    bool script = equals && ((equals - name == 6 && strncmp(name, "Script", 6) == 0) ||
                             (equals - name == 2 && strncmp(name, "sc", 2) == 0));
    if (equals && !script) name = equals + 1, n = (size_t)(close - name);
    if (script) name = equals + 1, n = (size_t)(close - name);
    for (size_t i = 0; i < sizeof categories / sizeof *categories && !script; i++)
        if (strlen(categories[i][0]) == n && strncmp(categories[i][0], name, n) == 0) {
            name = categories[i][1], n = strlen(name);
            break;
        }
    hn_buf_appendf(&r->out, "\\%c{%s", p, script ? "sc:" : "");
    hn_buf_append(&r->out, name, n);
    hn_buf_append_char(&r->out, '}');
    r->at = close + 1;
}

static void rewrite_escape(rewrite *r) {
    if (++r->at >= r->end) {
        r->problem = "it ends in a lone backslash";
        return;
    }
    char c = *r->at++;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (c == 'p' || c == 'P') {
        rewrite_property(r, c);
    } else if (c == 's' || c == 'S') {
        hn_buf_appendf(&r->out, r->in_class ? "%s" : "[%s]", c == 's' ? SPACES : NO_SPACES);
    } else if (c == 'v') {
        hn_buf_append_str(&r->out, "\\x0b");
    } else if (c == '0') {
        hn_buf_append_str(&r->out, "\\x00");
    } else if (letter && !strchr("bBcdDfknrtuwWx", c)) {
        r->problem = "it has a backslash before a letter that ECMA-262 gives no meaning";
    } else if (r->in_class && c == 'B') {
        r->problem = "\\B has no meaning between brackets";
    } else {
        hn_buf_append_char(&r->out, '\\');
        hn_buf_append_char(&r->out, c);
    }
}

static void rewrite_group(rewrite *r) {
    const char *p = r->at + 1;
    size_t left = (size_t)(r->end - p);
    static const char *const known[] = {"?:", "?=", "?!", "?<=", "?<!"};
    bool fine = !(left && (*p == '?' || *p == '*'));
    for (size_t i = 0; i < 5; i++) fine |= left >= strlen(known[i]) && strncmp(p, known[i], strlen(known[i])) == 0;
    fine |= left > 2 && p[0] == '?' && p[1] == '<'; /* a named group */
    if (!fine) {
        r->problem = "it has a kind of group that ECMA-262 does not know";
        return;
    }
    hn_buf_append_char(&r->out, '(');
    r->at++;
    if (left && *p == '?') { /* the mark is no quantifier */
        hn_buf_append_char(&r->out, '?');
        r->at++;
    }
}

static void rewrite_one(rewrite *r) {
    char c = *r->at;
    bool was_repeated = r->repeated;
    r->repeated = false;
    if (c == '\\') {
        rewrite_escape(r);
    } else if (r->in_class) {
        if (c == ']') r->in_class = false;
        if (c == '[') hn_buf_append_char(&r->out, '\\'); /* else PCRE might read a POSIX class */
        hn_buf_append_char(&r->out, c);
        r->at++;
    } else if (c == '(') {
        rewrite_group(r);
    } else if (c == '.') {
        hn_buf_append_str(&r->out, "[^\\n\\r\\u2028\\u2029]");
        r->at++;
    } else {
        if (c == '+' && was_repeated) {
            r->problem = "ECMA-262 has no possessive repeats";
            return;
        }
        r->repeated = c == '*' || c == '+' || c == '}' || (c == '?' && !was_repeated);
        r->in_class = c == '[';
        hn_buf_append_char(&r->out, c);
        r->at++;
        if (c == '[' && r->at < r->end && *r->at == '^') {
            hn_buf_append_char(&r->out, '^');
            r->at++;
        }
    }
}

/* ---- PCRE ---- */

static hn_status compile(const char *text, size_t n, void **code, char message[200]) {
    int error = PCRE2_ERROR_NOMEMORY;
    PCRE2_SIZE at = 0;
    pcre2_general_context *memory = pcre2_general_context_create(take, give, NULL);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        pcre2_set_parens_nest_limit(context, 100);
        pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
        *code = pcre2_compile((PCRE2_SPTR)text, n,
                              PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_ALLOW_EMPTY_CLASS |
                                  PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALT_BSUX,
                              &error, &at, context);
        pcre2_compile_context_free(context);
    }
    pcre2_general_context_free(memory); /* the code keeps its own copy of the functions */
    if (*code) return HN_OK;
    if (error == PCRE2_ERROR_NOMEMORY || error == PCRE2_ERROR_HEAP_FAILED) return HN_ERR_MEMORY;
    pcre2_get_error_message(error, (PCRE2_UCHAR *)message, 200);
    return HN_ERR_INPUT;
}

hn_status hn_schema_pattern_compile(const char *source, size_t n, void **code, const char **problem,
                                    char message[200]) {
    *code = NULL;
    *problem = NULL;
    if (n > PATTERN_MAX) {
        *problem = "it is longer than 64 KiB";
        return HN_ERR_INPUT;
    }
    rewrite r = {.at = source, .end = source + n};
    hn_buf_init(&r.out, 64 * (size_t)PATTERN_MAX);
    while (r.at < r.end && !r.problem) rewrite_one(&r);
    *problem = r.problem;
    hn_status st = r.problem ? HN_ERR_INPUT : hn_buf_status(&r.out);
    if (st == HN_OK) {
        st = compile(hn_buf_str(&r.out), r.out.len, code, message);
        if (st == HN_ERR_INPUT) *problem = message;
    }
    hn_buf_free(&r.out);
    return st;
}

void hn_schema_pattern_free(void *code) { pcre2_code_free(code); }

hn_schema_scratch *hn_schema_scratch_create(void) {
    hn_schema_scratch *s = hn_calloc(1, sizeof *s);
    if (!s) return NULL;
    s->memory = pcre2_general_context_create(take, give, NULL);
    if (s->memory) {
        s->data = pcre2_match_data_create(1, s->memory);
        s->context = pcre2_match_context_create(s->memory);
    }
    if (!s->data || !s->context) {
        hn_schema_scratch_free(s);
        return NULL;
    }
    pcre2_set_match_limit(s->context, MATCH_LIMIT);
    pcre2_set_heap_limit(s->context, HEAP_LIMIT_KIB);
    return s;
}

void hn_schema_scratch_free(hn_schema_scratch *s) {
    if (!s) return;
    pcre2_match_context_free(s->context);
    pcre2_match_data_free(s->data);
    pcre2_general_context_free(s->memory);
    hn_free(s);
}

hn_status hn_schema_pattern_search(const void *code, hn_schema_scratch *s, const char *text, size_t n, bool *found) {
    int got = pcre2_match(code, (PCRE2_SPTR)text, n, 0, 0, s->data, s->context);
    *found = got >= 0;
    if (got >= PCRE2_ERROR_NOMATCH || (got <= PCRE2_ERROR_UTF8_ERR1 && got >= PCRE2_ERROR_UTF8_ERR21)) return HN_OK;
    return got == PCRE2_ERROR_NOMEMORY ? HN_ERR_MEMORY : HN_ERR_LIMIT;
}
