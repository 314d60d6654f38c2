/* Advice; see advice.h. Each line answers "what would move the number", in the order of how much it usually does on small models. */
#include "lifecycle/iterate/advice.h"

#include <math.h>
#include <string.h>

void hn_advice_worst_pair(const hn_report *report, hn_buf *out) {
    hn_confused_pair pair;
    if (!report->n_labels || !hn_confusion_worst_pair(&report->confusion, &pair)) return;
    const char *name_a = report->labels[pair.a], *name_b = report->labels[pair.b];
    hn_buf_appendf(out, "%s and %s (%s taken for %s %llux, %s for %s %llux)", name_a, name_b, name_a, name_b,
                   (unsigned long long)pair.a_as_b, name_b, name_a, (unsigned long long)pair.b_as_a);
}

static bool uses(const hn_run *run, const char *key, const char *value) {
    return run->spec.parameters_json && strstr(run->spec.parameters_json, key) &&
           strstr(run->spec.parameters_json, value);
}

/* What a prompt has not tried yet. */
static void advise_means(const hn_run *run, const hn_report *report, hn_buf *out) {
    bool likelihood = uses(run, "\"answer\":", "\"likelihood\"");
    if (report->n_labels && likelihood && !uses(run, "\"calibrate\":", "\"prior\"")) {
        hn_buf_append_str(
            out, "add `calibrate: prior` to the prompt: it takes out how much the model likes each label anyway\n");
        return;
    }
    if (!uses(run, "\"pick\":", "\"nearest\"")) {
        hn_buf_append_str(out, "show it similar cases: `examples: {pick: nearest, n: 6}`\n");
        return;
    }
    hn_confused_pair pair;
    if (report->n_labels && hn_confusion_worst_pair(&report->confusion, &pair))
        hn_buf_appendf(out,
                       "say in the prompt what tells %s from %s, or look at those cases: their targets may be wrong\n",
                       report->labels[pair.a], report->labels[pair.b]);
}

static void advise_level(const hn_run *run, const hn_report *report, const hn_baselines *b, const hn_scope *scope,
                         hn_buf *out) {
    if (b->known && report->accuracy.value < b->bag_of_words.accuracy.value)
        hn_buf_appendf(out, "a bag of words is still ahead with %.1f %%: no reason yet to prefer a model\n",
                       100 * b->bag_of_words.accuracy.value);
    bool dev = run->spec.split && strcmp(run->spec.split, "dev") == 0;
    if (isfinite(scope->target_value) && report->accuracy.value >= scope->target_value && dev)
        hn_buf_appendf(out,
                       "the target is reached on dev: confirm it once with `hone eval --split test prompts/%s.yaml`\n",
                       run->spec.prompt_name);
    else
        advise_means(run, report, out);
}

void hn_advice_on_comparison(const hn_comparison *c, const hn_baselines *b, const hn_scope *scope, hn_buf *out) {
    const hn_verdict *v = &c->verdict;
    bool b_is_behind = v->kind == HN_VERDICT_WORSE;
    if (v->kind == HN_VERDICT_CANNOT_TELL && v->cases_needed > (int64_t)v->n)
        hn_buf_appendf(out,
                       "to tell a difference of %.0f points apart takes about %lld cases, there are %zu: label more, "
                       "or try a bolder change\n",
                       100 * v->smallest_difference, (long long)v->cases_needed, v->n);
    if (v->kind == HN_VERDICT_EQUIVALENT) hn_buf_append_str(out, "keep the cheaper of the two\n");
    advise_level(b_is_behind ? c->run_a : c->run_b, b_is_behind ? &c->report_a : &c->report_b, b, scope, out);
}

void hn_advice_on_results(const hn_eval_result *results, size_t n, size_t best, const hn_baselines *b,
                          const hn_scope *scope, hn_buf *out) {
    const hn_eval_result *top = &results[best];
    if (n > 1) {
        size_t other = best == 0 ? 1 : 0;
        hn_buf_appendf(out, "hone compare r%lld r%lld      whether the difference is real, and which cases changed\n",
                       (long long)results[other].run->id, (long long)top->run->id);
    }
    if (n == 1) hn_buf_appendf(out, "hone show r%lld      classes, confusions, wrong cases\n", (long long)top->run->id);
    advise_level(top->run, &top->report, b, scope, out);
}
