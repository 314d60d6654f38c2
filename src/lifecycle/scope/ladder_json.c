/* The ladder for programs; see ladder.h and docs/json.md. */
#include "lifecycle/eval/run_report.h"
#include "lifecycle/scope/ladder_parts.h"

#include <math.h>
#include <string.h>

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }
static json_t *text_or_null(const char *text) { return *text ? json_string(text) : json_null(); }

static const char *kind_name(hn_rung_kind kind) {
    static const char *const names[] = {"majority", "bag_of_words", "nearest", "probe", "zero_shot", "few_shot"};
    return names[kind];
}

static json_t *rung_json(const hn_ladder *l, size_t i) {
    const hn_rung *r = &l->rungs[i];
    json_t *against =
        i == l->best
            ? json_null()
            : json_pack("{s:s, s:o, s:f, s:I, s:o}", "verdict", hn_verdict_name(r->against_best.kind), "difference",
                        hn_report_estimate_json(r->against_best.difference), "p", r->against_best.p, "n",
                        (json_int_t)r->against_best.n, "cases_needed",
                        r->against_best.cases_needed >= 0 ? json_integer(r->against_best.cases_needed) : json_null());
    json_t *value = json_pack(
        "{s:s, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:b, s:o, s:o}", "kind", kind_name(r->kind),
        "name", r->name, "model", text_or_null(r->model), "n", (json_int_t)r->n, "accuracy",
        hn_report_estimate_json(r->accuracy), "macro_f1", hn_report_estimate_json(r->macro_f1), "latency_ms",
        number(r->latency_ms), "memory_bytes", number(r->memory_bytes), "cost_per_1000", number(r->cost_per_1000),
        "seconds", number(r->seconds), "best", (int)(i == l->best), "marked", (int)(i == l->marked), "not_worse",
        (int)r->not_worse, "kept", (int)r->kept, "against_best", against, "detail", text_or_null(r->detail));
    if (value && r->kind == HN_RUNG_PROBE &&
        (json_object_set_new(value, "pair_auc", number(r->pair_auc)) != 0 ||
         json_object_set_new(value, "pair_auc_whitened", number(r->pair_auc_whitened)) != 0)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

static json_t *point_json(const hn_curve_point *p) {
    return json_pack("{s:I, s:I, s:{s:f, s:f, s:f}}", "labels", (json_int_t)p->n, "draws", (json_int_t)p->n_draws,
                     "accuracy", "value", p->accuracy, "low", p->low, "high", p->high);
}

static json_t *curve_json(const hn_curve *c) {
    json_t *points = json_array();
    for (size_t i = 0; points && i < c->n_points; i++) {
        if (json_array_append_new(points, point_json(&c->points[i])) == 0) continue;
        json_decref(points);
        points = NULL;
    }
    if (!points) return NULL;
    return json_pack("{s:s, s:o, s:{s:f, s:f, s:f}, s:I, s:o, s:o, s:{s:o, s:o}}", "rung", c->name, "points", points,
                     "law", "floor", c->law.floor, "scale", c->law.scale, "exponent", c->law.exponent, "more",
                     (json_int_t)c->n_more, "gain", hn_report_estimate_json(c->gain), "labels_for_target",
                     number(c->labels_for_target), "labels_for_target_interval", "low", number(c->labels_interval.low),
                     "high", number(c->labels_interval.high));
}

static json_t *narrow_json(const hn_ladder *l) {
    const hn_narrow *n = &l->narrow;
    json_t *labels = json_array();
    if (!n->known) {
        json_decref(labels);
        return json_null();
    }
    for (size_t i = 0; labels && i < n->n_labels; i++) {
        const hn_narrow_label *label = &n->labels[i];
        json_t *value = json_pack("{s:s, s:b, s:I, s:o, s:o, s:I, s:o}", "label", l->scope->contract.labels[i],
                                  "chosen", (int)label->chosen, "answers", (json_int_t)label->n_choosing, "precision",
                                  number(label->precision), "lower", number(label->lower), "answers_checked",
                                  (json_int_t)label->n_checking, "checked", hn_report_estimate_json(label->checked));
        if (json_array_append_new(labels, value) == 0) continue;
        json_decref(labels);
        labels = NULL;
    }
    if (!labels) return NULL;
    return json_pack("{s:s, s:f, s:b, s:I, s:o, s:o, s:I, s:o}", "rung", n->rung, "target", n->target, "target_assumed",
                     (int)n->target_assumed, "chosen", (json_int_t)n->n_chosen, "precision",
                     hn_report_estimate_json(n->precision), "share", hn_report_estimate_json(n->share), "cases",
                     (json_int_t)n->n_checked, "labels", labels);
}

static json_t *advice_json(const hn_recommendation *r) {
    json_t *items = json_array();
    if (!r->known) {
        json_decref(items);
        return json_null();
    }
    for (int i = 0; items && i < HN_ACTION_COUNT; i++) {
        json_t *value = json_pack("{s:s, s:b, s:s}", "action", hn_action_name((hn_action)i), "worth",
                                  (int)r->items[i].worth, "reason", r->items[i].reason);
        if (json_array_append_new(items, value) == 0) continue;
        json_decref(items);
        items = NULL;
    }
    return items ? json_pack("{s:s, s:o}", "first", hn_action_name(r->first), "actions", items) : NULL;
}

static json_t *left_out_json(const hn_ladder *l) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < l->n_left_out; i++) {
        json_t *value = json_pack("{s:s, s:s}", "name", l->left_out[i].name, "reason", l->left_out[i].reason);
        if (json_array_append_new(list, value) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

hn_status hn_ladder_json(const hn_ladder *l, json_t **value, hn_error *err) {
    json_t *rungs = json_array(), *curves = json_array();
    bool fine = rungs && curves;
    for (size_t i = 0; fine && i < l->n_rungs; i++) fine = json_array_append_new(rungs, rung_json(l, i)) == 0;
    for (size_t i = 0; fine && i < l->n_curves; i++)
        fine = json_array_append_new(curves, curve_json(&l->curves[i])) == 0;
    *value = fine ? json_pack("{s:I, s:I, s:I, s:I, s:O, s:o, s:O, s:o, s:o}", "train", (json_int_t)l->n_train,
                              "train_all", (json_int_t)l->n_train_all, "dev_all", (json_int_t)l->n_dev_all, "dev",
                              (json_int_t)l->n_dev, "rungs", rungs, "left_out", left_out_json(l), "learning_curves",
                              curves, "narrower_start", narrow_json(l), "recommendation", advice_json(&l->advice))
                  : NULL;
    json_decref(rungs);
    json_decref(curves);
    return *value ? HN_OK : hn_fail_memory(err, 0);
}
