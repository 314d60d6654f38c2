/* Guards; see guard.h. */
#include "app/guard.h"

#include "base/regex.h"
#include "base/utf8.h"
#include "text/groundedness.h"
#include "text/language.h"

#include <math.h>
#include <string.h>

typedef struct side {
    const hn_guard_side *rules;
    hn_regex **must, **must_not;
    const char *names[6]; /* too short, too long, language, must_match, must_not_match, grounded */
} side;

struct hn_guard {
    const hn_scope *scope;
    side input, output;
    hn_regex_scratch *scratch;
    hn_buf text;
    int label; /* of the fallback */
};

static hn_status compile(char *const *patterns, size_t n, hn_regex ***out, hn_error *err) {
    if (n == 0) return HN_OK;
    *out = hn_calloc(n, sizeof **out);
    if (!*out) return hn_fail_memory(err, n * sizeof **out);
    for (size_t i = 0; i < n; i++) HN_TRY(hn_regex_compile(patterns[i], strlen(patterns[i]), &(*out)[i], err));
    return HN_OK;
}

static void free_patterns(hn_regex **patterns, size_t n) {
    for (size_t i = 0; patterns && i < n; i++) hn_regex_free(patterns[i]);
    hn_free(patterns);
}

static hn_status create_side(side *s, hn_error *err) {
    HN_TRY(compile(s->rules->must_match, s->rules->n_must_match, &s->must, err));
    return compile(s->rules->must_not_match, s->rules->n_must_not_match, &s->must_not, err);
}

static hn_status find_label(hn_guard *g, hn_error *err) {
    const hn_contract *c = &g->scope->contract;
    const char *fallback = g->scope->guard.fallback;
    g->label = -1;
    if (!fallback || c->kind != HN_CONTRACT_CHOICE) return HN_OK;
    for (size_t l = 0; l < c->n_labels; l++)
        if (strcmp(c->labels[l], fallback) == 0) g->label = (int)l;
    if (g->label >= 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, g->scope->config_path, "`abstain`, or one of the labels",
                   "the guard's fallback `%.80s` is none of the labels", fallback);
}

hn_status hn_guard_create(const hn_scope *scope, hn_guard **out, hn_error *err) {
    *out = NULL;
    if (!scope->guard.given && !scope->context_column) return HN_OK;
    hn_guard *g = hn_calloc(1, sizeof *g);
    if (!g) return hn_fail_memory(err, sizeof *g);
    g->scope = scope;
    g->input = (side){&scope->guard.input,
                      NULL,
                      NULL,
                      {"input.min_characters", "input.max_characters", "input.language", "input.must_match",
                       "input.must_not_match", ""}};
    g->output = (side){&scope->guard.output,
                       NULL,
                       NULL,
                       {"output.min_characters", "output.max_characters", "output.language", "output.must_match",
                        "output.must_not_match", "output.grounded"}};
    hn_buf_init(&g->text, 0);
    g->scratch = hn_regex_scratch_create();
    hn_status st = g->scratch ? find_label(g, err) : hn_fail_memory(err, 0);
    if (st == HN_OK && scope->guard.given) st = create_side(&g->input, err);
    if (st == HN_OK && scope->guard.given) st = create_side(&g->output, err);
    if (st == HN_OK)
        *out = g;
    else
        hn_guard_free(g);
    return st;
}

void hn_guard_free(hn_guard *g) {
    if (!g) return;
    free_patterns(g->input.must, g->input.rules->n_must_match);
    free_patterns(g->input.must_not, g->input.rules->n_must_not_match);
    free_patterns(g->output.must, g->output.rules->n_must_match);
    free_patterns(g->output.must_not, g->output.rules->n_must_not_match);
    hn_regex_scratch_free(g->scratch);
    hn_buf_free(&g->text);
    hn_free(g);
}

/* ---- asking ---- */

static bool language_fits(const hn_guard_side *r, hn_str text) {
    const char *code = r->n_languages ? hn_language_of(text) : NULL;
    if (!code) return true;
    for (size_t i = 0; i < r->n_languages; i++)
        if (strcmp(r->languages[i], code) == 0) return true;
    return false;
}

/* Whether one of the patterns is found (`found`), or one of them is not. A search without end counts as what refuses. */
static hn_status any_pattern(hn_guard *g, hn_regex *const *patterns, size_t n, hn_str text, bool found, bool *any,
                             hn_error *err) {
    *any = false;
    for (size_t i = 0; i < n && !*any; i++) {
        hn_regex_match m = {0};
        hn_status st = hn_regex_find(patterns[i], g->scratch, text.data, text.len, 0, &m, err);
        if (st != HN_OK && st != HN_ERR_LIMIT) return st;
        *any = st == HN_ERR_LIMIT || m.found == found;
    }
    return HN_OK;
}

static hn_status check(hn_guard *g, const side *s, hn_str text, const char **fired, hn_error *err) {
    const hn_guard_side *r = s->rules;
    bool refused;
    int64_t n = r->min_characters >= 0 || r->max_characters >= 0 ? (int64_t)hn_utf8_count(text.data, text.len) : 0;
    *fired = NULL;
    if (r->min_characters >= 0 && n < r->min_characters)
        *fired = s->names[0];
    else if (r->max_characters >= 0 && n > r->max_characters)
        *fired = s->names[1];
    else if (!language_fits(r, text))
        *fired = s->names[2];
    if (*fired) return HN_OK;
    HN_TRY(any_pattern(g, s->must, r->n_must_match, text, false, &refused, err));
    if (refused) *fired = s->names[3];
    if (refused) return HN_OK;
    HN_TRY(any_pattern(g, s->must_not, r->n_must_not_match, text, true, &refused, err));
    if (refused) *fired = s->names[4];
    return HN_OK;
}

hn_status hn_guard_input(hn_guard *g, const hn_case *c, const char **fired, hn_error *err) {
    *fired = NULL;
    if (!g || !g->scope->guard.given) return HN_OK;
    hn_buf_clear(&g->text);
    HN_TRY(hn_case_text(c, &g->text, err));
    return check(g, &g->input, (hn_str){hn_buf_str(&g->text), g->text.len}, fired, err);
}

hn_status hn_guard_context(const hn_scope *scope, const hn_case *c, hn_buf *out, hn_error *err) {
    json_t *value = scope->context_column ? json_object_get(c->inputs, scope->context_column) : NULL;
    if (json_is_string(value))
        hn_buf_append(out, json_string_value(value), json_string_length(value));
    else if (value && !json_is_null(value))
        hn_json_write(value, NULL, out);
    return hn_buf_check(out, "a case's context", err);
}

static hn_status measure_support(hn_guard *g, const hn_case *c, hn_str text, double *support, hn_error *err) {
    hn_groundedness found;
    hn_buf_clear(&g->text);
    HN_TRY(hn_guard_context(g->scope, c, &g->text, err));
    HN_TRY(hn_groundedness_check(text, (hn_str){hn_buf_str(&g->text), g->text.len}, 0, &found, err));
    *support = found.support;
    hn_groundedness_free(&found);
    return HN_OK;
}

hn_status hn_guard_output(hn_guard *g, const hn_case *c, hn_str text, const char **fired, double *support,
                          hn_error *err) {
    *fired = NULL;
    *support = (double)NAN;
    if (!g) return HN_OK;
    if (g->scope->guard.given) HN_TRY(check(g, &g->output, text, fired, err));
    if (g->scope->context_column) HN_TRY(measure_support(g, c, text, support, err));
    if (!*fired && *support < g->output.rules->grounded) *fired = g->output.names[5];
    return HN_OK;
}

const char *hn_guard_fallback(const hn_guard *g, int *label) {
    *label = g->label;
    return g->scope->guard.fallback;
}
