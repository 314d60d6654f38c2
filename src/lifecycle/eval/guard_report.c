/* Guards and groundedness of a run; see guard_report.h. */
#include "lifecycle/eval/guard_report.h"

#include "app/guard.h"
#include "lifecycle/eval/run_report.h"
#include "text/groundedness.h"

#include <math.h>
#include <string.h>

enum { SENTENCES_MAX = 20, SENTENCE_BYTES = 400 };

static double threshold_of(const hn_scope *scope) {
    double wanted = scope->guard.output.grounded;
    return scope->guard.given && !isnan(wanted) ? wanted : HN_SUPPORT_THRESHOLD;
}

/* ---- details ---- */

static hn_status write_unsupported(const hn_scope *scope, const hn_case *c, hn_str text, hn_buf *out, hn_error *err) {
    hn_groundedness g;
    hn_buf context;
    size_t n = 0;
    hn_buf_init(&context, 0);
    hn_status st = hn_guard_context(scope, c, &context, err);
    if (st == HN_OK)
        st = hn_groundedness_check(text, (hn_str){hn_buf_str(&context), context.len}, threshold_of(scope), &g, err);
    hn_buf_free(&context);
    HN_TRY(st);
    for (size_t i = 0; i < g.n && n < SENTENCES_MAX; i++) {
        if (g.items[i].support >= threshold_of(scope)) continue;
        hn_str sentence = hn_str_trim((hn_str){text.data + g.items[i].from, g.items[i].to - g.items[i].from});
        if (sentence.len > SENTENCE_BYTES) sentence.len = SENTENCE_BYTES;
        hn_buf_append_str(out, n++ ? "," : "\"unsupported\":[");
        hn_json_write_string(sentence.data, sentence.len, false, out);
    }
    if (n) hn_buf_append_str(out, "],");
    hn_groundedness_free(&g);
    return HN_OK;
}

hn_status hn_guard_details(const hn_scope *scope, const hn_case *c, const hn_answer *a, hn_buf *out, hn_error *err) {
    if (a->guard) hn_buf_appendf(out, "\"guard\":\"%s\",", a->guard);
    if (isnan(a->support)) return HN_OK;
    hn_buf_append_str(out, "\"support\":");
    hn_json_write_real(a->support, out);
    hn_buf_append_char(out, ',');
    hn_str text = a->text ? (hn_str){a->text, a->text_bytes} : hn_str_of(a->value);
    return write_unsupported(scope, c, text, out, err);
}

/* ---- the run ---- */

static void count_rule(hn_guard_report *g, const char *name) {
    for (size_t i = 0; i < g->n_rules; i++) {
        if (strcmp(g->rules[i].name, name) != 0) continue;
        g->rules[i].n++;
        return;
    }
    if (g->n_rules == HN_GUARD_RULES_MAX) return;
    snprintf(g->rules[g->n_rules].name, sizeof g->rules[0].name, "%s", name);
    g->rules[g->n_rules++].n = 1;
}

static hn_status add_sentences(hn_guard_report *g, const hn_prediction *p, const json_t *list, hn_error *err) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        g->n_sentences++;
        if (!text || g->n_unsupported == HN_UNSUPPORTED_MAX) continue;
        hn_unsupported *u = &g->unsupported[g->n_unsupported];
        *u = (hn_unsupported){p->case_id, hn_arena_strdup(g->arena, text)};
        if (!u->text) return hn_fail_memory(err, strlen(text));
        g->n_unsupported++;
    }
    return HN_OK;
}

static hn_status add_row(hn_guard_report *g, const hn_prediction *p, double *supports, hn_error *err) {
    json_t *details;
    if (!p->details_json || (!strstr(p->details_json, "\"guard\":\"") && !strstr(p->details_json, "\"support\":")))
        return HN_OK;
    HN_TRY(hn_json_parse(p->details_json, strlen(p->details_json), "details", 0, &details, err));
    const char *guard = json_string_value(json_object_get(details, "guard"));
    const json_t *support = json_object_get(details, "support");
    if (guard) {
        count_rule(g, guard);
        g->n_guarded++;
        g->n_left += p->value == NULL;
    }
    if (json_is_number(support)) {
        g->n_below += json_number_value(support) < g->threshold;
        supports[g->n_measured++] = json_number_value(support);
    }
    hn_status st = add_sentences(g, p, json_object_get(details, "unsupported"), err);
    json_decref(details);
    return st;
}

static hn_status estimate(hn_guard_report *g, const double *supports, hn_error *err) {
    hn_clustered_mean mean;
    double n = (double)g->n_measured;
    g->support = g->below = (hn_estimate){(double)NAN, (double)NAN, (double)NAN};
    if (!g->n_measured) return HN_OK;
    HN_TRY(hn_interval_clustered_mean(supports, NULL, g->n_measured, 0.05, &mean, err));
    hn_interval below = hn_interval_wilson((int64_t)g->n_below, (int64_t)g->n_measured, 0.05);
    g->support = (hn_estimate){mean.mean, mean.interval.low, mean.interval.high};
    g->below = (hn_estimate){(double)g->n_below / n, below.low, below.high};
    return HN_OK;
}

hn_status hn_guard_report_build(const hn_scope *scope, const hn_prediction_list *list, hn_guard_report *g,
                                hn_error *err) {
    *g = (hn_guard_report){.threshold = threshold_of(scope), .arena = hn_arena_create(0)};
    double *supports = hn_calloc(list->n + 1, sizeof *supports);
    g->unsupported = hn_calloc(HN_UNSUPPORTED_MAX, sizeof *g->unsupported);
    hn_status st = g->arena && supports && g->unsupported ? HN_OK : hn_fail_memory(err, list->n * sizeof *supports);
    for (size_t i = 0; i < list->n && st == HN_OK; i++) st = add_row(g, &list->rows[i], supports, err);
    if (st == HN_OK) st = estimate(g, supports, err);
    hn_free(supports);
    if (st != HN_OK) hn_guard_report_free(g);
    return st;
}

void hn_guard_report_free(hn_guard_report *g) {
    hn_free(g->unsupported);
    hn_arena_free(g->arena);
    *g = (hn_guard_report){0};
}

hn_status hn_guard_report_add_json(const hn_guard_report *g, json_t *object, hn_error *err) {
    json_t *rules = json_object(), *sentences = json_array();
    bool fine = rules && sentences;
    for (size_t i = 0; fine && i < g->n_rules; i++)
        fine = json_object_set_new(rules, g->rules[i].name, json_integer((json_int_t)g->rules[i].n)) == 0;
    for (size_t i = 0; fine && i < g->n_unsupported; i++)
        fine = json_array_append_new(sentences, json_pack("{s:s, s:s}", "case", g->unsupported[i].case_id, "text",
                                                          g->unsupported[i].text)) == 0;
    if (fine && g->n_guarded)
        fine = json_object_set_new(object, "guards",
                                   json_pack("{s:I, s:I, s:O}", "refused", (json_int_t)g->n_guarded, "left",
                                             (json_int_t)g->n_left, "rules", rules)) == 0;
    if (fine && g->n_measured)
        fine = json_object_set_new(object, "groundedness",
                                   json_pack("{s:I, s:o, s:f, s:o, s:I, s:O}", "n", (json_int_t)g->n_measured,
                                             "support", hn_report_estimate_json(g->support), "threshold", g->threshold,
                                             "below", hn_report_estimate_json(g->below), "unsupported_sentences",
                                             (json_int_t)g->n_sentences, "unsupported", sentences)) == 0;
    json_decref(rules);
    json_decref(sentences);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}
