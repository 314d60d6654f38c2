/* Rewards of pairs, and teacher against student; see tune_show_methods.h. */
#include "cli/tune_show_methods.h"

#include "cli/output.h"
#include "lifecycle/tune/tune_distill.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *hn_cli_tune_loss_unit(const char *method) {
    if (!method) return "token";
    if (strcmp(method, "dpo") == 0 || strcmp(method, "orpo") == 0) return "pair";
    return strcmp(method, "distill") == 0 ? "case" : "token";
}

/* ---- preference pairs ---- */

static char *margin_text(const hn_estimate *e, char out[64]) {
    if (isfinite(e->low) && isfinite(e->high))
        snprintf(out, 64, "%.3f [%.3f, %.3f]", e->value, e->low, e->high);
    else
        snprintf(out, 64, "%.3f", e->value);
    return out;
}

void hn_cli_tune_rewards_print(hn_output *out, const hn_tune_epoch *e) {
    char share[48], margin[64];
    if (!isfinite(e->reward_accuracy.value)) return;
    hn_output_print(out, "\n  chosen preferred in %s of pairs, margin %s", hn_cli_percent(e->reward_accuracy, share),
                    margin_text(&e->reward_margin, margin));
}

void hn_cli_tune_rewards_cells(hn_table *table, const hn_tune_epoch *e) {
    char share[48], margin[64];
    bool known = isfinite(e->reward_accuracy.value);
    hn_table_cell(table, "%s", known ? hn_cli_percent(e->reward_accuracy, share) : "-");
    hn_table_cell(table, "%s", known ? margin_text(&e->reward_margin, margin) : "-");
}

/* ---- distillation ---- */

static void print_verdict(hn_output *out, const hn_tune_distillation *d) {
    double points = 100 * d->smallest_difference;
    if (strcmp(d->verdict, "equivalent") == 0)
        hn_output_print(out, "Equivalent: whatever the difference is, it is smaller than %.3g points.\n", points);
    else if (strcmp(d->verdict, "worse") == 0)
        hn_output_print(out, "The student is worse than its teacher.\n");
    else if (strcmp(d->verdict, "better") == 0)
        hn_output_print(out, "The student is better than its teacher.\n");
    else if (d->cases_needed > 0)
        hn_output_print(
            out,
            "Cannot tell yet whether the two differ by %.3g points: about %lld dev cases would (there are %lld).\n",
            points, (long long)d->cases_needed, (long long)d->n);
    else
        hn_output_print(out, "Cannot tell yet whether the two differ.\n");
}

hn_status hn_cli_tune_distillation_print(hn_cli_tuning *t, const hn_tune_result *r, hn_error *err) {
    hn_output *out = t->cli->out;
    hn_tune_distillation d;
    bool found;
    char share[48];
    if (!r->run->summary_json) return HN_OK;
    HN_TRY(hn_tune_distillation_read(r->run->summary_json, &d, &found, err));
    if (!found) return HN_OK;
    hn_output_print(out, "\nThe student against its teacher (%s with %s), on %lld dev cases\n", d.teacher,
                    d.teacher_prompt, (long long)d.n);
    hn_output_print(out, "  accuracy      %.1f %% against %.1f %%: %+.1f points [%+.1f, %+.1f], p = %.3g\n",
                    100 * d.student_accuracy, 100 * d.teacher_accuracy, 100 * d.difference.value,
                    100 * d.difference.low, 100 * d.difference.high, d.p);
    hn_output_print(out, "  same answer   %s\n", hn_cli_percent(d.agreement, share));
    hn_output_print(out, "  prompt        %.0f tokens instead of %.0f: %.0f saved in each request\n", d.student_tokens,
                    d.teacher_tokens, d.teacher_tokens - d.student_tokens);
    if (d.left_out)
        hn_output_print(out, "  left out      %lld training cases that the teacher gave no valid answer\n",
                        (long long)d.left_out);
    print_verdict(out, &d);
    return HN_OK;
}

json_t *hn_cli_tune_distillation_json(const hn_tune_result *r) {
    json_t *s;
    hn_error unused;
    const char *text = r->run->summary_json;
    if (!text || hn_json_parse(text, strlen(text), "the run's summary", 0, &s, &unused) != HN_OK) return json_null();
    json_t *found = json_incref(json_object_get(s, "distillation"));
    json_decref(s);
    return found ? found : json_null();
}
