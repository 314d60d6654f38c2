/* A run against the scope's goals; see goals.h. Limits are compared as measured; target and baseline with their uncertainty. */
#include "lifecycle/iterate/goals.h"

#include "lifecycle/iterate/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *hn_goal_state_name(hn_goal_state state) {
    static const char *const names[] = {"met", "unsure", "missed", "unknown"};
    return names[state];
}

static hn_goal *add(hn_goals *goals, const char *name, hn_goal_state state) {
    hn_goal *g = &goals->items[goals->n++];
    g->name = name;
    g->state = state;
    return g;
}

static hn_status check_target(const hn_goal_facts *f, hn_goals *goals, hn_error *err) {
    double wanted = f->scope->target_value;
    hn_metric_value m;
    char value[80];
    if (!isfinite(wanted)) return HN_OK;
    HN_TRY(hn_run_metric(f->scope->metric, f->report, f->predictions, f->run->summary_json, &m, err));
    if (!m.known) {
        hn_goal *g = add(goals, "target", HN_GOAL_UNKNOWN);
        snprintf(g->text, sizeof g->text, "target: %.60s was not measured in this run; hone regrade measures it",
                 f->scope->metric);
        return HN_OK;
    }
    hn_estimate e = m.estimate;
    bool there = m.lower_is_better ? e.value <= wanted : e.value >= wanted;
    bool sure =
        m.lower_is_better ? (there ? e.high <= wanted : e.low > wanted) : (there ? e.low >= wanted : e.high < wanted);
    hn_goal *g = add(goals, "target", sure ? (there ? HN_GOAL_MET : HN_GOAL_MISSED) : HN_GOAL_UNSURE);
    snprintf(g->text, sizeof g->text, "target: %.60s of %.*f%s%s: %s (%s)", f->scope->metric, m.factor == 100 ? 0 : 2,
             m.factor * wanted,
             m.factor == 100 ? " %"
             : *m.unit       ? " "
                             : "",
             m.factor == 100 ? "" : m.unit,
             sure    ? (there ? "reached" : "not reached yet")
             : there ? "reached, but the interval reaches past it"
                     : "not reached yet, though within the interval",
             hn_metric_text(&m, value));
    return HN_OK;
}

static void check_limit(hn_goals *goals, const char *name, const char *what, double value, double limit,
                        const char *unit) {
    if (!isfinite(limit)) return;
    if (!isfinite(value)) {
        hn_goal *g = add(goals, name, HN_GOAL_UNKNOWN);
        snprintf(g->text, sizeof g->text, "%s: limit %.0f %s, not measured in this run", what, limit, unit);
        return;
    }
    bool kept = value <= limit;
    hn_goal *g = add(goals, name, kept ? HN_GOAL_MET : HN_GOAL_MISSED);
    snprintf(g->text, sizeof g->text, "%s %.0f %s, limit %.0f: %s", what, value, unit, limit, kept ? "kept" : "broken");
}

static void check_cost(const hn_goal_facts *f, hn_goals *goals) {
    double limit = f->scope->limit_cost_per_1000, cost = f->report->cost_per_1000;
    if (!isfinite(limit)) return;
    if (!isfinite(cost)) {
        hn_goal *g = add(goals, "cost_per_1000", HN_GOAL_UNKNOWN);
        snprintf(g->text, sizeof g->text,
                 "cost: limit $%.4g per 1,000 answers, not known: the model has no prices in hone.yaml", limit);
        return;
    }
    bool kept = cost <= limit;
    hn_goal *g = add(goals, "cost_per_1000", kept ? HN_GOAL_MET : HN_GOAL_MISSED);
    snprintf(g->text, sizeof g->text, "cost: 1,000 answers cost $%.4g, limit $%.4g: %s", cost, limit,
             kept ? "kept" : "broken");
}

/* What one case at a time takes, as the evaluation wrote it down; NaN in runs of before. */
static double memory_of(const hn_run *run) {
    json_t *summary;
    hn_error unused;
    double bytes = (double)NAN;
    if (!run->summary_json ||
        hn_json_parse(run->summary_json, strlen(run->summary_json), "summary", 0, &summary, &unused) != HN_OK)
        return bytes;
    const json_t *value = json_object_get(summary, "one_case_bytes");
    if (json_is_number(value)) bytes = json_number_value(value);
    json_decref(summary);
    return bytes;
}

static void judge_baseline(hn_goals *goals, const char *name, const hn_verdict *v, const hn_metric_value *m) {
    double factor = m ? m->factor : 100;
    static const hn_goal_state states[] = {HN_GOAL_UNSURE, HN_GOAL_MET, HN_GOAL_MISSED, HN_GOAL_MET};
    static const char *const words[] = {"cannot tell yet which is better than", "better than", "worse than",
                                        "equivalent to"};
    hn_goal *g = add(goals, "baseline", states[v->kind]);
    int d = factor == 100 ? 1 : 3;
    const char *unit = m ? m->unit : "points";
    snprintf(g->text, sizeof g->text, "baseline: %s %.100s: %+.*f%s%s [%+.*f, %+.*f], p = %.2g", words[v->kind], name,
             d, factor * v->difference.value, *unit ? " " : "", unit, d, factor * v->difference.low, d,
             factor * v->difference.high, v->p);
}

static hn_status against_simple(const hn_goal_facts *f, const char *name, hn_goals *goals, hn_error *err) {
    const hn_baselines *b = f->baselines;
    char text[160];
    hn_verdict v;
    if (!b || !b->known || b->n != f->predictions->n) {
        hn_goal *g = add(goals, "baseline", HN_GOAL_UNKNOWN);
        snprintf(g->text, sizeof g->text, "baseline: %s is not known here: it needs labels and training cases", name);
        return HN_OK;
    }
    bool majority = strcmp(name, "majority") == 0;
    HN_TRY(hn_compare_with_right(majority ? b->majority.right : b->bag_of_words.right, f->predictions,
                                 f->scope->smallest_difference, &v, err));
    if (majority)
        snprintf(text, sizeof text, "always answering %.100s", b->majority_label);
    else
        snprintf(text, sizeof text, "a bag of words");
    judge_baseline(goals, text, &v, NULL);
    return HN_OK;
}

static hn_status against_run(const hn_goal_facts *f, const char *name, hn_goals *goals, hn_error *err) {
    char own[32];
    hn_comparison c;
    hn_error why;
    snprintf(own, sizeof own, "r%lld", (long long)f->run->id);
    hn_status st = hn_compare_runs(f->store, name, own, f->scope, &c, &why);
    if (st == HN_OK) {
        char text[160];
        bool itself = c.run_a->id == c.run_b->id;
        snprintf(text, sizeof text, "%.60s (%.60s)", name, c.run_a->spec.prompt_name ? c.run_a->spec.prompt_name : "");
        if (!itself) judge_baseline(goals, text, &c.verdict, &c.metric_b);
        hn_comparison_free(&c);
        return HN_OK;
    }
    if (st == HN_ERR_MEMORY || st == HN_ERR_IO || st == HN_ERR_BUSY) {
        if (err) *err = why;
        return st;
    }
    hn_goal *g = add(goals, "baseline", HN_GOAL_UNKNOWN);
    snprintf(g->text, sizeof g->text, "baseline: %.60s cannot be compared: %.160s (set `baseline:` in hone.yaml)", name,
             why.message);
    return HN_OK;
}

hn_status hn_goals_check(const hn_goal_facts *f, hn_goals *out, hn_error *err) {
    *out = (hn_goals){0};
    const char *baseline = f->scope->baseline;
    HN_TRY(check_target(f, out, err));
    check_limit(out, "latency_ms", "latency: 95 % of answers within", f->report->latency_p95_ms,
                f->scope->limit_latency_ms, "ms");
    check_limit(out, "memory_mb", "memory: model and one case take", memory_of(f->run) / 1e6, f->scope->limit_memory_mb,
                "MB");
    check_cost(f, out);
    if (strcmp(baseline, "majority") == 0 || strcmp(baseline, "bag_of_words") == 0)
        return against_simple(f, baseline, out, err);
    return against_run(f, baseline, out, err);
}

hn_status hn_goals_json(const hn_goals *goals, json_t **value, hn_error *err) {
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < goals->n; i++) {
        const hn_goal *g = &goals->items[i];
        fine = json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", g->name, "state",
                                                     hn_goal_state_name(g->state), "text", g->text)) == 0;
    }
    if (!fine) {
        json_decref(list);
        return hn_fail_memory(err, 0);
    }
    *value = list;
    return HN_OK;
}
