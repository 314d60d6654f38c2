/* hone ledger: every look at the test split, and the best result corrected for having been chosen there. */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/ledger_cli.h"
#include "cli/project_cli.h"

#include <math.h>
#include <string.h>

static hn_estimate accuracy_of(const hn_run *run) {
    hn_estimate e = {(double)NAN, (double)NAN, (double)NAN};
    json_t *summary;
    hn_error unused;
    if (!run->summary_json ||
        hn_json_parse(run->summary_json, strlen(run->summary_json), "summary", 0, &summary, &unused) != HN_OK)
        return e;
    hn_estimate found;
    json_t *accuracy = json_object_get(json_object_get(summary, "metrics"), "accuracy");
    if (json_unpack(accuracy, "{s:F, s:F, s:F}", "value", &found.value, "low", &found.low, "high", &found.high) == 0)
        e = found;
    json_decref(summary);
    return e;
}

void hn_cli_print_correction_of_best(hn_cli *cli, const hn_ledger *l) {
    const hn_run *best = hn_ledger_best(l);
    char text[48];
    if (!best) return;
    hn_output_print(cli->out,
                    "the best of %zu candidates there, r%lld (%s), looks better than it is: its %.1f %% is rather %s\n",
                    l->n_compared, (long long)best->id, best->spec.prompt_name ? best->spec.prompt_name : "",
                    100 * l->selection.observed, hn_cli_percent(l->selection.corrected, text));
}

static hn_status print_table(hn_cli *cli, const hn_ledger *l, hn_error *err) {
    static const char *const heads[] = {"look", "when", "run", "prompt", "model", "cases", "accuracy", " "};
    hn_table *t = hn_table_create(cli->out);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        hn_table_column(t, heads[i], i == 0 || i == 5 || i == 6 ? HN_ALIGN_RIGHT : HN_ALIGN_LEFT);
    for (size_t i = 0; i < l->n_looks; i++) {
        const hn_run *r = l->candidates[l->looks[i].candidate];
        char when[32], text[48];
        hn_table_row(t);
        hn_table_cell(t, "%zu", i + 1);
        hn_table_cell(t, "%s", hn_clock_format(l->looks[i].at_ms, true, when));
        hn_table_cell(t, "r%lld", (long long)r->id);
        hn_table_cell(t, "%s", r->spec.prompt_name ? r->spec.prompt_name : "");
        hn_table_cell(t, "%s", r->spec.model_name ? r->spec.model_name : "");
        hn_table_cell(t, "%lld", (long long)r->spec.n_cases);
        hn_table_cell(t, "%s", hn_cli_percent(accuracy_of(r), text));
        hn_table_cell(t, "%s", l->looks[i].again ? "again" : " ");
        if (l->looks[i].again) hn_table_row_style(t, HN_STYLE_DIM);
    }
    return hn_table_print(t, err);
}

static hn_status print_ledger(hn_cli *cli, const hn_ledger *l, hn_error *err) {
    if (l->n_looks == 0) {
        hn_output_print(cli->out,
                        "nobody has looked at the test split of this data: it is as honest as on the first day\n");
        return HN_OK;
    }
    HN_TRY(print_table(cli, l, err));
    hn_output_print(cli->out, "\n%zu looks at %zu candidates; each makes the next number there a little less honest\n",
                    l->n_looks, l->n_candidates);
    hn_cli_print_correction_of_best(cli, l);
    return HN_OK;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_cli_project p;
    hn_ledger ledger;
    json_t *value = NULL;
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &p, err));
    hn_status st = hn_ledger_make(p.store, p.dataset->hash, &ledger, err);
    if (st == HN_OK) {
        st = cli->out->json ? hn_ledger_json(&ledger, &value, err) : print_ledger(cli, &ledger, err);
        hn_ledger_free(&ledger);
    }
    if (st == HN_OK && cli->out->json) st = hn_cli_result(cli, value, err);
    hn_cli_project_close(&p);
    return st;
}

const hn_command hn_cmd_ledger = {
    .name = "ledger",
    .summary = "every look at the test split, and the best result corrected for having been chosen there",
    .usage = "",
    .description =
        "The test split is for confirming a choice that was made on dev. Whoever chooses on it finds a best that "
        "is partly luck: how much is\n"
        "estimated by repeating the choice on resampled cases. Looks at other data than there is now are not "
        "listed.",
    .run = run,
};
