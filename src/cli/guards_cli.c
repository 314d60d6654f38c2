/* Guards of a run; see guards_cli.h. */
#include "cli/guards_cli.h"

#include "cli/project_cli.h"
#include "lifecycle/eval/guard_report.h"

enum { SENTENCES_SHOWN = 3, SENTENCE_COLUMNS = 90 };

static void print_sentences(hn_cli *cli, const hn_guard_report *g) {
    for (size_t i = 0; i < g->n_unsupported && i < SENTENCES_SHOWN; i++) {
        hn_buf text;
        hn_buf_init(&text, 0);
        hn_cli_excerpt(g->unsupported[i].text, SENTENCE_COLUMNS, &text);
        hn_output_print(cli->out, "    %s: \"%s\"\n", g->unsupported[i].case_id, hn_buf_str(&text));
        hn_buf_free(&text);
    }
    if (g->n_sentences > SENTENCES_SHOWN)
        hn_output_print(cli->out, "    ... %zu more sentences without support: --json\n",
                        g->n_sentences - SENTENCES_SHOWN);
}

hn_status hn_cli_print_guards(hn_cli *cli, const hn_scope *scope, const char *name, const hn_prediction_list *list,
                              hn_error *err) {
    hn_guard_report g;
    char mean[48], below[48];
    HN_TRY(hn_guard_report_build(scope, list, &g, err));
    if (g.n_guarded) {
        hn_output_print(cli->out, "%s: guards refused %zu of %zu (", name, g.n_guarded, list->n);
        for (size_t i = 0; i < g.n_rules; i++)
            hn_output_print(cli->out, "%s%s %zu", i ? ", " : "", g.rules[i].name, g.rules[i].n);
        hn_output_print(cli->out, "); %zu left to a person\n", g.n_left);
    } else if (scope->guard.given)
        hn_output_print(cli->out, "%s: no guard refused anything\n", name);
    if (g.n_measured) {
        hn_output_print(cli->out, "%s: support of the answers by their context %s; below %.0f %%: %s of them\n", name,
                        hn_cli_percent(g.support, mean), 100 * g.threshold, hn_cli_percent(g.below, below));
        print_sentences(cli, &g);
    }
    hn_guard_report_free(&g);
    return HN_OK;
}

hn_status hn_cli_guards_add_json(const hn_scope *scope, const hn_prediction_list *list, json_t *value, hn_error *err) {
    hn_guard_report g;
    HN_TRY(hn_guard_report_build(scope, list, &g, err));
    hn_status st = hn_guard_report_add_json(&g, value, err);
    hn_guard_report_free(&g);
    return st;
}
