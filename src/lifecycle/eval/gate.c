/* Working out a gate; see gate.h. */
#include "base/str.h"
#include "lifecycle/eval/class_report.h"
#include "lifecycle/eval/gate_parts.h"
#include "lifecycle/eval/grade_run.h"
#include "lifecycle/eval/guard_report.h"
#include "stats/verdict.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct checker {
    const hn_gate_facts *facts;
    hn_class_report classes;
    hn_guard_report guards;
    json_t *summary; /* of the run; NULL: none */
    hn_gate_result *result;
    hn_error *err;
} checker;

/* ---- metrics ---- */

typedef struct measure {
    const char *name;
    hn_estimate value;
    bool share; /* shown as a percentage */
} measure;

static hn_estimate alone(double value) { return (hn_estimate){value, (double)NAN, (double)NAN}; }

static hn_estimate share_of(const hn_report *r, size_t k) {
    if (r->n == 0) return alone((double)NAN);
    hn_interval i = hn_interval_wilson((int64_t)k, (int64_t)r->n, 0.05);
    return (hn_estimate){(double)k / (double)r->n, i.low, i.high};
}

static double summary_number(const checker *c, const char *name) {
    const json_t *value = json_object_get(c->summary, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* A local model's answers cost nothing by the piece; what a remote one's cost its provider puts into the summary. */
static double cost_per_1000(const checker *c) {
    double cost = summary_number(c, "cost_per_1000");
    if (isfinite(cost)) return cost;
    return json_is_number(json_object_get(c->summary, "one_case_bytes")) ? 0 : (double)NAN;
}

enum { MEASURES_MAX = 24 };

static size_t list_measures(const checker *c, measure out[MEASURES_MAX]) {
    const hn_report *r = c->facts->report;
    const hn_classification *all = &c->classes.all;
    double per_case = r->n ? (double)(r->prompt_tokens + r->completion_tokens) / (double)r->n : (double)NAN;
    const measure measures[] = {
        {"accuracy", r->accuracy, true},
        {"macro_f1", r->macro_f1, true},
        {"micro_f1", alone(all->micro.f1), true},
        {"weighted_f1", alone(all->weighted.f1), true},
        {"balanced_accuracy", alone(all->balanced_accuracy), true},
        {"mcc", alone(all->mcc), false},
        {"kappa", alone(all->kappa), false},
        {"log_loss", alone(c->classes.log_loss), false},
        {"label_perplexity", alone(c->classes.label_perplexity), false},
        {"invalid", share_of(r, r->n_invalid), true},
        {"cut", share_of(r, r->n_cut), true},
        {"failed", share_of(r, r->n_failed), true},
        {"abstained", share_of(r, r->n_abstained), true},
        {"guarded", share_of(r, c->guards.n_guarded), true},
        {"support", c->guards.support, true},
        {"unsupported", c->guards.below, true},
        {"latency_ms", alone(r->latency_p95_ms), false},
        {"latency_median_ms", alone(r->latency_median_ms), false},
        {"memory_mb", alone(summary_number(c, "one_case_bytes") / 1e6), false},
        {"cost_per_1000", alone(cost_per_1000(c)), false},
        {"tokens_per_case", alone(per_case), false},
        {"n", alone((double)r->n), false},
    };
    size_t n = sizeof measures / sizeof *measures;
    memcpy(out, measures, sizeof measures);
    return n;
}

/* What graders made of the run: see grade_run.h. */
static const json_t *find_grader(const checker *c, const char *name) {
    const json_t *graders = json_object_get(c->summary, "graders");
    for (size_t i = 0; i < json_array_size(graders); i++) {
        const char *own = json_string_value(json_object_get(json_array_get(graders, i), "name"));
        if (own && strcmp(own, name) == 0) return json_array_get(graders, i);
    }
    return NULL;
}

/* {"value","low","high"} among the summary's metrics, a grader's result, or a plain number of the summary. */
static bool find_in_summary(const checker *c, const char *name, measure *found) {
    const json_t *metric = json_object_get(json_object_get(c->summary, "metrics"), name);
    if (!metric) metric = find_grader(c, name);
    *found = (measure){name, alone((double)NAN), false};
    if (json_is_object(metric)) {
        const json_t *value = json_object_get(metric, "value"), *low = json_object_get(metric, "low"),
                     *high = json_object_get(metric, "high");
        if (json_is_number(value)) found->value.value = json_number_value(value);
        if (json_is_number(low)) found->value.low = json_number_value(low);
        if (json_is_number(high)) found->value.high = json_number_value(high);
        return true;
    }
    hn_grade_lines lines;
    hn_error unused;
    if (hn_grade_lines_read(c->facts->run->summary_json, &lines, &unused) == HN_OK) {
        const hn_grade_line *line = hn_grade_lines_find(&lines, name);
        if (line) found->value = line->mean;
        hn_grade_lines_free(&lines);
        if (line) return true;
    }
    found->value.value = json_is_number(metric) ? json_number_value(metric) : summary_number(c, name);
    return isfinite(found->value.value);
}

static hn_status find_measure(const checker *c, const hn_gate_node *node, measure *found) {
    measure measures[MEASURES_MAX];
    const char *names[MEASURES_MAX];
    size_t n = list_measures(c, measures);
    for (size_t i = 0; i < n; i++) {
        names[i] = measures[i].name;
        *found = measures[i];
        if (strcmp(node->name, measures[i].name) == 0) return HN_OK;
    }
    if (find_in_summary(c, node->name, found)) return HN_OK;
    char hint[384], where[40];
    const char *near = hn_closest(node->name, names, n);
    int at = near ? snprintf(hint, sizeof hint, "did you mean %s? ", near) : 0;
    at += snprintf(hint + at, sizeof hint - (size_t)at, "there are");
    for (size_t i = 0; i < n && (size_t)at + 24 < sizeof hint; i++)
        at += snprintf(hint + at, sizeof hint - (size_t)at, "%s %s", i ? "," : "", names[i]);
    snprintf(where, sizeof where, "--gate:%zu", node->column);
    return hn_fail(c->err, HN_ERR_USAGE, where, hint, "there is no metric `%s`", node->name);
}

/* ---- clauses ---- */

static void show_number(const measure *m, bool percent, double value, char out[40]) {
    if (m->share || percent)
        snprintf(out, 40, "%.1f %%", 100 * value);
    else
        snprintf(out, 40, "%.4g", value);
}

static hn_status check_number(checker *c, const hn_gate_node *node, hn_gate_clause *out) {
    static const char *const asked[] = {"at least", "more than", "at most", "less than"};
    static const char *const ends[] = {"", "lower limit of ", "upper limit of "};
    measure m;
    char is[40], wanted[40];
    HN_TRY(find_measure(c, node, &m));
    if (m.share && !node->percent && fabs(node->number) > 1) {
        snprintf(wanted, sizeof wanted, "--gate:%zu", node->column);
        return hn_fail(c->err, HN_ERR_USAGE, wanted, "write % behind hundredths: accuracy >= 90 %",
                       "%s is a share from 0 to 1, %g is more", node->name, node->number);
    }
    double value = node->end == HN_GATE_LOWER ? m.value.low : node->end == HN_GATE_UPPER ? m.value.high : m.value.value;
    if (!isfinite(value)) {
        snprintf(out->outcome, sizeof out->outcome, "%s%s: %s", ends[node->end], node->name,
                 node->end == HN_GATE_VALUE ? "not measured in this run" : "there is no interval");
        return HN_OK;
    }
    switch (node->comparison) {
    case HN_GATE_AT_LEAST: out->holds = value >= node->number; break;
    case HN_GATE_ABOVE: out->holds = value > node->number; break;
    case HN_GATE_AT_MOST: out->holds = value <= node->number; break;
    case HN_GATE_BELOW: out->holds = value < node->number; break;
    }
    show_number(&m, node->percent, value, is);
    show_number(&m, node->percent, node->number, wanted);
    int n = snprintf(out->outcome, sizeof out->outcome, "%s%s is %s", ends[node->end], node->name, is);
    if (node->end == HN_GATE_VALUE && m.share && isfinite(m.value.low))
        n += snprintf(out->outcome + n, sizeof out->outcome - (size_t)n, " [%.1f, %.1f]", 100 * m.value.low,
                      100 * m.value.high);
    snprintf(out->outcome + n, sizeof out->outcome - (size_t)n, ", asked for is %s %s", asked[node->comparison],
             wanted);
    return HN_OK;
}

static hn_status judge(const checker *c, const hn_reference *ref, hn_verdict *v) {
    const hn_prediction_list *list = c->facts->predictions;
    size_t n = list->n, n_groups;
    bool several;
    uint32_t *groups = hn_alloc(n * sizeof *groups);
    double *scores = hn_alloc(n * sizeof *scores);
    hn_status st = groups && scores ? HN_OK : hn_fail_memory(c->err, n * sizeof *scores);
    if (st == HN_OK) st = hn_report_groups(list->rows, n, groups, &n_groups, &several, c->err);
    for (size_t i = 0; st == HN_OK && i < n; i++) scores[i] = list->rows[i].correct;
    hn_verdict_options options = {.smallest_difference = c->facts->reference.scope->smallest_difference,
                                  .seed = HN_REPORT_SEED};
    if (st == HN_OK) st = hn_verdict_judge(ref->scores, scores, several ? groups : NULL, n, &options, v, c->err);
    hn_free(groups);
    hn_free(scores);
    return st;
}

static hn_status check_verdict(checker *c, const hn_gate_node *node, hn_gate_clause *out) {
    static const char *const words[] = {"cannot tell", "better", "worse", "equivalent"};
    hn_reference ref;
    hn_verdict v;
    HN_TRY(hn_reference_load(&c->facts->reference, node->name, &ref, c->err));
    bool itself = *ref.content_id && strcmp(ref.content_id, c->facts->run->content_id) == 0;
    hn_status st = HN_OK;
    if (ref.n != c->facts->predictions->n)
        st = hn_fail(c->err, HN_ERR_INTERNAL, "--gate", NULL, "the run has %zu answers, its reference %zu",
                     c->facts->predictions->n, ref.n);
    if (st == HN_OK) st = judge(c, &ref, &v);
    if (st == HN_OK) {
        double margin = v.smallest_difference;
        out->holds = node->relation == HN_GATE_BETTER ? v.kind == HN_VERDICT_BETTER
                     : node->relation == HN_GATE_SAME ? itself || v.kind == HN_VERDICT_EQUIVALENT
                                                      : itself || v.difference.low > -margin;
        if (itself)
            snprintf(out->outcome, sizeof out->outcome, "this is %.100s itself", ref.name);
        else
            snprintf(out->outcome, sizeof out->outcome,
                     "accuracy against %.100s: %+.1f points [%+.1f, %+.1f], p = %.2g: %s; the margin is %.1f points",
                     ref.name, 100 * v.difference.value, 100 * v.difference.low, 100 * v.difference.high, v.p,
                     words[v.kind], 100 * margin);
    }
    hn_reference_free(&ref);
    return st;
}

/* ---- the whole ---- */

static hn_status check_clauses(checker *c, const hn_gate *gate) {
    hn_gate_result *r = c->result;
    r->clauses = hn_calloc((size_t)gate->n_nodes, sizeof *r->clauses);
    if (!r->clauses) return hn_fail_memory(c->err, (size_t)gate->n_nodes * sizeof *r->clauses);
    for (int i = 0; i < gate->n_nodes; i++) {
        const hn_gate_node *node = &gate->nodes[i];
        if (node->kind != HN_GATE_COMPARE && node->kind != HN_GATE_VERDICT) continue;
        hn_gate_clause *clause = &r->clauses[r->n++];
        clause->text = node->text;
        HN_TRY(node->kind == HN_GATE_COMPARE ? check_number(c, node, clause) : check_verdict(c, node, clause));
    }
    return HN_OK;
}

/* Nodes come after their children, so one pass from the first to the last is enough. */
static void join(const hn_gate *gate, hn_gate_result *r) {
    bool holds[HN_GATE_NODES_MAX];
    size_t clause = 0;
    for (int i = 0; i < gate->n_nodes; i++) {
        const hn_gate_node *node = &gate->nodes[i];
        if (node->kind == HN_GATE_AND)
            holds[i] = holds[node->left] && holds[node->right];
        else if (node->kind == HN_GATE_OR)
            holds[i] = holds[node->left] || holds[node->right];
        else
            holds[i] = r->clauses[clause++].holds;
    }
    r->passed = holds[gate->root];
}

hn_status hn_gate_check(const hn_gate *gate, const hn_gate_facts *facts, hn_gate_result *result, hn_error *err) {
    *result = (hn_gate_result){0};
    checker c = {.facts = facts, .result = result, .err = err};
    hn_error unused;
    const char *summary = facts->run->summary_json;
    if (summary && hn_json_parse(summary, strlen(summary), "summary", 0, &c.summary, &unused) != HN_OK)
        c.summary = NULL;
    hn_status st = hn_class_report_make(facts->report, facts->predictions, &c.classes, err);
    if (st == HN_OK) st = hn_guard_report_build(facts->reference.scope, facts->predictions, &c.guards, err);
    if (st == HN_OK) st = check_clauses(&c, gate);
    hn_guard_report_free(&c.guards);
    if (st == HN_OK)
        join(gate, result);
    else
        hn_gate_result_free(result);
    json_decref(c.summary);
    return st;
}

void hn_gate_result_free(hn_gate_result *r) {
    hn_free(r->clauses);
    *r = (hn_gate_result){0};
}

hn_status hn_gate_result_json(const hn_gate_result *r, json_t **value, hn_error *err) {
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < r->n; i++)
        fine = json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "text", r->clauses[i].text, "holds",
                                                     r->clauses[i].holds, "outcome", r->clauses[i].outcome)) == 0;
    json_t *made = fine ? json_pack("{s:b, s:O}", "passed", r->passed, "clauses", list) : NULL;
    json_decref(list);
    if (!made) return hn_fail_memory(err, 0);
    *value = made;
    return HN_OK;
}
