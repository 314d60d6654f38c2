/* The project's remote models, listed: where they are, what they cost, and whether their key is there (never the key). Needs no HTTP client, so
 * hone-runtime lists them, too. */
#include "cli/remote_list.h"

#include "base/str.h"
#include "provider/remote_key.h"

#include <math.h>
#include <stdio.h>

static json_t *number_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *model_json(const hn_remote_model *m, const char *key) {
    const hn_remote_price *p = &m->price;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:o, s:o, s:o, s:o}, s:i, s:f, s:f, s:i}", "name", m->name, "api",
                     hn_remote_api_name(m->api), "url", m->url, "model", m->model, "key", key, "price", "input",
                     number_or_null(p->input), "cached_input", number_or_null(p->cached_input), "cache_write",
                     number_or_null(p->cache_write), "output", number_or_null(p->output), "concurrency", m->concurrency,
                     "requests_per_minute", m->requests_per_minute, "tokens_per_minute", m->tokens_per_minute,
                     "retries", m->retries);
}

static void print_model(hn_table *t, const hn_remote_model *m, const char *key) {
    hn_table_row(t);
    hn_table_cell(t, "%s", m->name);
    hn_table_cell(t, "%s", hn_remote_api_name(m->api));
    hn_table_cell(t, "%s", m->model);
    hn_table_cell(t, "%s", m->url);
    if (hn_remote_price_known(&m->price))
        hn_table_cell(t, "$%g in, $%g out", m->price.input, m->price.output);
    else
        hn_table_cell(t, "not given");
    hn_table_cell(t, "%s", key);
}

hn_status hn_cli_remote_list(hn_cli *cli, const hn_scope *scope, json_t *list, hn_error *err) {
    static const char *const heads[] = {"ELSEWHERE", "API", "MODEL", "ADDRESS", "A MILLION TOKENS", "KEY"};
    char key[200];
    if (scope->n_models == 0) return HN_OK;
    hn_table *t = hn_table_create(cli->out);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) hn_table_column(t, heads[i], HN_ALIGN_LEFT);
    for (size_t i = 0; i < scope->n_models; i++) {
        const hn_remote_model *m = &scope->models[i];
        hn_remote_key_describe(m, key, sizeof key);
        print_model(t, m, key);
        if (json_array_append_new(list, model_json(m, key)) == 0) continue;
        hn_table_free(t);
        return hn_fail_memory(err, 0);
    }
    hn_output_print(cli->out, "\n");
    return hn_table_print(t, err);
}
