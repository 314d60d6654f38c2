/* Recommendations; see recommendation.h. Each action is judged by itself first; then the order of what comes first is decided. */
#include "lifecycle/scope/recommendation.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Fewer training cases than this, and a model of one's own learns the noise. */
enum { SCRATCH_CASES = 2000, SCRATCH_PER_LABEL = 25, TUNE_PER_LABEL = 10 };
/* More labels than this many times those at hand are not "a few more". */
static const double LABELS_WORTH = 3;

const char *hn_action_name(hn_action action) {
    static const char *const names[] = {"drop_model", "prompt", "fine_tune", "train_from_scratch", "label_more"};
    return (size_t)action < sizeof names / sizeof *names ? names[action] : "";
}

typedef struct judge {
    const hn_recommend_facts *f;
    hn_recommendation *out;
    bool has_target, reached, sure; /* the marked rung's value reaches the target; its lower limit does, too */
    bool has_model;
} judge;

static HN_PRINTF(4, 5) void say(judge *j, hn_action action, bool worth, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    j->out->items[action].worth = worth;
    vsnprintf(j->out->items[action].reason, sizeof j->out->items[action].reason, fmt, args);
    va_end(args);
}

static double points(double share) { return 100 * share; }

static void judge_drop(judge *j) {
    const hn_recommend_facts *f = j->f;
    const hn_verdict *v = &f->model_against_plain;
    if (!f->plain.name)
        say(j, HN_ACTION_DROP_MODEL, false, "nothing without a model was measured");
    else if (!j->has_model && j->sure)
        say(j, HN_ACTION_DROP_MODEL, true,
            "%s reaches the target for certain (%.1f %%, at least %.1f %%) without any model", f->plain.name,
            points(f->plain.value.value), points(f->plain.value.low));
    else if (!j->has_model)
        say(j, HN_ACTION_DROP_MODEL, false, "no model was measured beside %s (%.1f %%)", f->plain.name,
            points(f->plain.value.value));
    else if (!f->marked_takes_model && v->kind == HN_VERDICT_WORSE)
        say(j, HN_ACTION_DROP_MODEL, true,
            "%s (%.1f %%) takes no model, and the best that takes one is %.1f points behind", f->plain.name,
            points(f->plain.value.value), points(-v->difference.value));
    else if (!f->marked_takes_model)
        say(j, HN_ACTION_DROP_MODEL, true,
            "%s (%.1f %%) takes no model, and what takes one is at most %.1f points better: less than makes a "
            "difference",
            f->plain.name, points(f->plain.value.value), points(fmax(v->difference.high, 0)));
    else if (v->kind == HN_VERDICT_BETTER)
        say(j, HN_ACTION_DROP_MODEL, false, "with a model it is %.1f points better than %s [%+.1f, %+.1f]",
            points(v->difference.value), f->plain.name, points(v->difference.low), points(v->difference.high));
    else
        say(j, HN_ACTION_DROP_MODEL, false,
            "%s cannot be called as good yet: a model may be up to %.1f points better (%+.1f [%+.1f, %+.1f])",
            f->plain.name, points(v->difference.high), points(v->difference.value), points(v->difference.low),
            points(v->difference.high));
}

static void judge_prompt(judge *j) {
    const hn_recommend_facts *f = j->f;
    if (!f->prompted.name) {
        bool open = !(j->has_target && j->sure);
        say(j, HN_ACTION_PROMPT, open,
            open ? "no prompt was measured yet, and it is the quickest thing to try: hone eval"
                 : "no prompt was measured, and none is needed for the target");
        return;
    }
    double best = f->prompted.value.value;
    bool behind_plain = f->model_against_plain.kind == HN_VERDICT_WORSE;
    if (f->marked_is_prompt && j->reached)
        say(j, HN_ACTION_PROMPT, true, "%s reaches the target (%.1f %%) as it is: better wordings can only add",
            f->prompted.name, points(best));
    else if (f->marked_is_prompt)
        say(j, HN_ACTION_PROMPT, true,
            "%s is the cheapest of the best (%.1f %%), and it is a first draft that nobody has worked on",
            f->prompted.name, points(best));
    else if (f->probe.name && f->probe_against_prompt.kind == HN_VERDICT_BETTER)
        say(j, HN_ACTION_PROMPT, false,
            "%s is %.1f points behind what a linear probe reads from the same model: the knowledge is there, words do "
            "not bring it out",
            f->prompted.name, points(f->probe_against_prompt.difference.value));
    else if (behind_plain)
        say(j, HN_ACTION_PROMPT, false, "%s (%.1f %%) is behind %s (%.1f %%)", f->prompted.name, points(best),
            f->plain.name, points(f->plain.value.value));
    else
        say(j, HN_ACTION_PROMPT, true, "%s (%.1f %%) is a first draft within reach of the best", f->prompted.name,
            points(best));
}

static void judge_tune(judge *j) {
    const hn_recommend_facts *f = j->f;
    double per_label = f->n_labels ? (double)f->n_train / (double)f->n_labels : (double)f->n_train;
    if (f->n_labels && per_label < TUNE_PER_LABEL)
        say(j, HN_ACTION_FINE_TUNE, false,
            "%.1f training cases a label are too few: an adapter would learn them by heart", per_label);
    else if (!f->probe.name)
        say(j, HN_ACTION_FINE_TUNE, false, "no model was probed, so nothing says what one knows of this task");
    else if (!f->marked_takes_model && j->has_target && !j->reached && f->model_against_plain.kind != HN_VERDICT_WORSE)
        say(j, HN_ACTION_FINE_TUNE, true,
            "no rung reaches the target, a plain linear probe on the model's states comes to %.1f %%, and an adapter "
            "can read more from them",
            points(f->probe.value.value));
    else if (!f->marked_takes_model)
        say(j, HN_ACTION_FINE_TUNE, false, "what takes no model is as good: nothing says what a model would add");
    else if (f->probe_against_prompt.kind == HN_VERDICT_BETTER)
        say(j, HN_ACTION_FINE_TUNE, true,
            "a linear probe on the model's hidden states (%.1f %%) is %.1f points [%.1f, %.1f] better than the best "
            "prompt: training brings out what "
            "prompts do not",
            points(f->probe.value.value), points(f->probe_against_prompt.difference.value),
            points(f->probe_against_prompt.difference.low), points(f->probe_against_prompt.difference.high));
    else if (j->has_target && !j->reached)
        say(j, HN_ACTION_FINE_TUNE, true,
            "no rung reaches the target, and there are %.0f training cases%s to learn from",
            f->n_labels ? per_label : (double)f->n_train, f->n_labels ? " a label" : "");
    else
        say(j, HN_ACTION_FINE_TUNE, false,
            "the probe (%.1f %%) is not better than the best prompt: training has nothing to bring out",
            points(f->probe.value.value));
}

static void judge_scratch(judge *j) {
    const hn_recommend_facts *f = j->f;
    size_t needed = f->n_labels * SCRATCH_PER_LABEL > SCRATCH_CASES ? f->n_labels * SCRATCH_PER_LABEL : SCRATCH_CASES;
    if (f->n_train < needed)
        say(j, HN_ACTION_FROM_SCRATCH, false, "%zu training cases are too few for a model of one's own (about %zu)",
            f->n_train, needed);
    else if (j->has_target && j->reached)
        say(j, HN_ACTION_FROM_SCRATCH, false, "%s reaches the target already (%.1f %%)", f->marked.name,
            points(f->marked.value.value));
    else if (!j->has_target && !f->marked_takes_model)
        say(j, HN_ACTION_FROM_SCRATCH, false, "no target is set that %s (%.1f %%) would miss", f->marked.name,
            points(f->marked.value.value));
    else if (!j->has_model || !f->probe.name)
        say(j, HN_ACTION_FROM_SCRATCH, false, "no model was probed, so nothing says that a trained one would not do");
    else if (f->model_against_plain.kind == HN_VERDICT_BETTER)
        say(j, HN_ACTION_FROM_SCRATCH, false, "the model knows something of use here: it is %.1f points better than %s",
            points(f->model_against_plain.difference.value), f->plain.name);
    else
        say(j, HN_ACTION_FROM_SCRATCH, true,
            "with %zu training cases %s is as good as anything on this model: what counts is in the data, and a small "
            "model of one's own can learn it",
            f->n_train, f->plain.name);
}

static void judge_labels(judge *j) {
    const hn_recommend_facts *f = j->f;
    const hn_curve *c = f->curve;
    if (j->has_target && j->sure) {
        say(j, HN_ACTION_LABEL_MORE, false, "%s reaches the target for certain", f->marked.name);
        return;
    }
    if (!c) {
        say(j, HN_ACTION_LABEL_MORE, f->n_train < 50,
            f->n_train < 50 ? "%zu training cases are too few to learn from or to see a trend"
                            : "%zu training cases, and no curve to say what more would bring",
            f->n_train);
        return;
    }
    double gain = c->gain.value, more = c->labels_for_target - (double)f->n_train;
    bool reachable = j->has_target && !j->reached && isfinite(c->labels_for_target) && more > 0;
    if (reachable && more <= LABELS_WORTH * (double)f->n_train)
        say(j, HN_ACTION_LABEL_MORE, true,
            "%s would reach the target with about %.0f more labels if its curve goes on; 100 bring %.1f points [%.1f, "
            "%.1f]",
            c->name, more, points(gain), points(c->gain.low), points(c->gain.high));
    else if (gain >= f->smallest_difference)
        say(j, HN_ACTION_LABEL_MORE, true, "100 more labels should bring %s %.1f points [%.1f, %.1f]", c->name,
            points(gain), points(c->gain.low), points(c->gain.high));
    else if (reachable)
        say(j, HN_ACTION_LABEL_MORE, false,
            "100 more labels should bring %s %.1f points [%.1f, %.1f], and the target would take about %.0f", c->name,
            points(gain), points(c->gain.low), points(c->gain.high), more);
    else if (j->has_target && !j->reached)
        say(j, HN_ACTION_LABEL_MORE, false,
            "100 more labels should bring %s %.1f points [%.1f, %.1f], and its curve ends below the target", c->name,
            points(gain), points(c->gain.low), points(c->gain.high));
    else
        say(j, HN_ACTION_LABEL_MORE, false,
            "100 more labels should bring %s %.1f points [%.1f, %.1f]: less than makes a difference", c->name,
            points(gain), points(c->gain.low), points(c->gain.high));
}

/* What reaches the target is taken as it is; else what is left to gain decides: knowledge that prompts do not bring out, then labels that would
 * do, then the first thing that is worth it. */
static hn_action first_action(const judge *j) {
    const hn_recommend_facts *f = j->f;
    const hn_advice_item *items = j->out->items;
    static const hn_action order[] = {HN_ACTION_FINE_TUNE, HN_ACTION_PROMPT, HN_ACTION_LABEL_MORE,
                                      HN_ACTION_FROM_SCRATCH, HN_ACTION_DROP_MODEL};
    bool target_open = j->has_target && !j->reached;
    if (items[HN_ACTION_DROP_MODEL].worth && !target_open) return HN_ACTION_DROP_MODEL;
    if (f->n_train < 50 && items[HN_ACTION_LABEL_MORE].worth && !items[HN_ACTION_PROMPT].worth)
        return HN_ACTION_LABEL_MORE;
    if (items[HN_ACTION_DROP_MODEL].worth && items[HN_ACTION_LABEL_MORE].worth) return HN_ACTION_LABEL_MORE;
    if (items[HN_ACTION_DROP_MODEL].worth && items[HN_ACTION_FROM_SCRATCH].worth) return HN_ACTION_FROM_SCRATCH;
    if (f->marked_is_prompt && j->reached) return HN_ACTION_PROMPT;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (items[order[i]].worth) return order[i];
    return HN_ACTION_PROMPT;
}

void hn_recommend(const hn_recommend_facts *f, hn_recommendation *out) {
    *out = (hn_recommendation){.known = f->marked.name != NULL};
    if (!out->known) return;
    judge j = {.f = f, .out = out, .has_target = isfinite(f->target), .has_model = f->probe.name || f->prompted.name};
    j.reached = j.has_target && f->marked.value.value >= f->target;
    j.sure = j.has_target && f->marked.value.low >= f->target;
    judge_drop(&j);
    judge_prompt(&j);
    judge_tune(&j);
    judge_scratch(&j);
    judge_labels(&j);
    out->first = first_action(&j);
}
