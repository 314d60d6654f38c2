/* Regular expressions; see regex.h. PCRE2's memory comes from base/alloc.h, so that tests can make it fail.
 * Surprise: the JIT keeps its backtracking on a stack of its own, at most JIT_STACK_MAX; past it a search is
 * HN_ERR_LIMIT. */
#include "base/regex.h"

#include "base/alloc.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { JIT_STACK_START = 32 << 10, JIT_STACK_MAX = 16 << 20, MATCH_LIMIT = 50 * 1000 * 1000 };

struct hn_regex {
    pcre2_general_context *memory;
    pcre2_code *code;
};

struct hn_regex_scratch {
    pcre2_general_context *memory;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static void *take(PCRE2_SIZE n, void *unused) {
    (void)unused;
    return hn_alloc(n);
}

static void give(void *memory, void *unused) {
    (void)unused;
    hn_free(memory);
}

hn_status hn_regex_compile(const char *pattern, size_t n, hn_regex **regex, hn_error *err) {
    *regex = NULL;
    hn_regex *re = hn_calloc(1, sizeof *re);
    if (!re) return hn_fail_memory(err, sizeof *re);
    re->memory = pcre2_general_context_create(take, give, NULL);
    pcre2_compile_context *context = re->memory ? pcre2_compile_context_create(re->memory) : NULL;
    int code = PCRE2_ERROR_NOMEMORY;
    PCRE2_SIZE at = 0;
    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        pcre2_set_parens_nest_limit(context, 100);
        re->code =
            pcre2_compile((PCRE2_SPTR)pattern, n,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
                          &code, &at, context);
        if (re->code) code = pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
        /* No JIT on this machine is fine: the interpreter gives the same matches, slower. */
        if (re->code && code == PCRE2_ERROR_JIT_BADOPTION) code = 0;
        pcre2_compile_context_free(context);
    }
    if (re->code && code == 0) {
        *regex = re;
        return HN_OK;
    }
    hn_regex_free(re);
    if (code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAP_FAILED) return hn_fail_memory(err, n);
    char text[160] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
    return hn_fail(err, HN_ERR_INPUT, NULL, NULL, "the pattern has an error at byte %zu: %s", at, text);
}

void hn_regex_free(hn_regex *re) {
    if (!re) return;
    pcre2_code_free(re->code);
    pcre2_general_context_free(re->memory);
    hn_free(re);
}

hn_regex_scratch *hn_regex_scratch_create(void) {
    hn_regex_scratch *s = hn_calloc(1, sizeof *s);
    if (!s) return NULL;
    s->memory = pcre2_general_context_create(take, give, NULL);
    if (s->memory) {
        s->data = pcre2_match_data_create(1, s->memory);
        s->context = pcre2_match_context_create(s->memory);
        s->stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, s->memory);
    }
    if (!s->data || !s->context) {
        hn_regex_scratch_free(s);
        return NULL;
    }
    pcre2_set_match_limit(s->context, MATCH_LIMIT);
    if (s->stack) pcre2_jit_stack_assign(s->context, NULL, s->stack); /* without: the machine stack's 32 KiB */
    return s;
}

void hn_regex_scratch_free(hn_regex_scratch *s) {
    if (!s) return;
    if (s->stack) pcre2_jit_stack_free(s->stack);
    pcre2_match_context_free(s->context);
    pcre2_match_data_free(s->data);
    pcre2_general_context_free(s->memory);
    hn_free(s);
}

static hn_status search(const hn_regex *re, hn_regex_scratch *s, const char *text, size_t n, size_t from,
                        uint32_t options, hn_regex_match *match, hn_error *err) {
    *match = (hn_regex_match){0};
    int found = pcre2_match(re->code, (PCRE2_SPTR)(text ? text : ""), n, from, options, s->data, s->context);
    if (found == PCRE2_ERROR_NOMATCH) return HN_OK;
    if (found >= 0) {
        const PCRE2_SIZE *place = pcre2_get_ovector_pointer(s->data);
        *match = (hn_regex_match){true, place[0], place[1]};
        if (match->start > match->end) match->start = match->end; /* \K inside a lookahead */
        return HN_OK;
    }
    if (found == PCRE2_ERROR_NOMEMORY) return hn_fail_memory(err, n);
    char message[160] = "";
    pcre2_get_error_message(found, (PCRE2_UCHAR *)message, sizeof message);
    return hn_fail(err, HN_ERR_LIMIT, NULL, "simplify the pattern, or split the text", "a pattern search gave up: %s",
                   message);
}

hn_status hn_regex_find(const hn_regex *re, hn_regex_scratch *scratch, const char *text, size_t n, size_t from,
                        hn_regex_match *match, hn_error *err) {
    return search(re, scratch, text, n, from, 0, match, err);
}

hn_status hn_regex_matches(const hn_regex *re, hn_regex_scratch *scratch, const char *text, size_t n, bool *matches,
                           hn_error *err) {
    hn_regex_match match;
    hn_status st = search(re, scratch, text, n, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, &match, err);
    *matches = st == HN_OK && match.found;
    return st;
}
