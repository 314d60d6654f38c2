/* Lines on corrected probabilities; see correction_cli.h. */
#include "cli/correction_cli.h"

#include "cli/project_cli.h"

#include <math.h>
#include <string.h>

static void print_fit(hn_cli *cli, const char *name, const hn_correction_fit *f) {
    const hn_correction *c = &f->correction;
    if (c->method == HN_RECALIBRATE_TEMPERATURE)
        hn_output_print(
            cli->out, "%s: temperature %.2f: calibration error %.1f -> %.1f points, log loss %.3f -> %.3f nats\n", name,
            c->temperature, 100 * f->before.ece, 100 * f->after.ece, f->before.log_loss, f->after.log_loss);
    if (c->method == HN_RECALIBRATE_ISOTONIC)
        hn_output_print(cli->out, "%s: isotonic: calibration error %.1f -> %.1f points, log loss %.3f -> %.3f nats\n",
                        name, 100 * f->before.ece, 100 * f->after.ece, f->before.log_loss, f->after.log_loss);
    if (!isnan(c->wanted.target_error) && f->rule.found)
        hn_output_print(cli->out,
                        "%s: would answer %.0f %% of cases alone, %zu of %zu of them wrong, and at most %.1f %% with "
                        "%.0f %% confidence; the rest to a person\n",
                        name, 100 * f->rule.coverage, f->rule.n_wrong, f->rule.n_answered, 100 * f->rule.error_bound,
                        100 * c->wanted.confidence);
    else if (!isnan(c->wanted.target_error))
        hn_output_print(
            cli->out,
            "%s: no threshold can promise at most %.1f %% wrong from %zu independent cases: every case goes "
            "to a person until there are more or a better prompt\n",
            name, 100 * c->wanted.target_error, f->n_independent);
    if (!isnan(c->wanted.set_share))
        hn_output_print(cli->out, "%s: sets of %.1f labels on average hold the right one in %.0f %% of cases\n", name,
                        f->set_size, 100 * c->wanted.set_share);
}

static void print_given(hn_cli *cli, const hn_scope *scope, const char *name, const hn_report *r) {
    char share[48], error[48];
    if (!isnan(scope->abstain.target_error))
        hn_output_print(cli->out,
                        "%s: answered %s of cases, %s of these wrong (aim: at most %.1f %%); %zu left to a person\n",
                        name, hn_cli_percent(r->given, share), hn_cli_percent(r->given_error, error),
                        100 * scope->abstain.target_error, r->n_abstained);
    if (r->n_sets)
        hn_output_print(
            cli->out, "%s: %zu of %zu label sets hold the right one (aim: %.0f %%), %.1f labels on average\n", name,
            r->n_in_set, r->n_sets, 100 * scope->abstain.set_share, (double)r->n_set_labels / (double)r->n_sets);
}

hn_status hn_cli_print_correction(hn_cli *cli, const hn_scope *scope, const hn_prompt *prompt, const hn_run *run,
                                  const hn_prediction_list *list, const hn_report *report, hn_error *err) {
    bool aims = !isnan(scope->abstain.target_error) || !isnan(scope->abstain.set_share);
    if (!hn_correction_wanted(scope, prompt)) {
        if (aims)
            hn_output_print(cli->out,
                            "%s: nothing is left to a person: its answers have no probabilities of labels (`answer: "
                            "likelihood` gives them)\n",
                            prompt->name);
        return HN_OK;
    }
    if (report->n == report->n_failed) return HN_OK;
    if (strcmp(run->spec.split, "dev") != 0) {
        print_given(cli, scope, prompt->name, report);
        return HN_OK;
    }
    hn_correction_fit fit;
    HN_TRY(hn_correction_of_run(scope, prompt->recalibrate, run, list, &fit, err));
    print_fit(cli, prompt->name, &fit);
    hn_correction_fit_free(&fit);
    return HN_OK;
}
