/* What project commands share; see project_cli.h. */
#include "cli/project_cli.h"

#include "base/str.h"
#include "base/utf8.h"
#include "cli/inference.h"
#include "model/catalogue.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

hn_status hn_cli_project_open(unsigned parts, hn_cli_project *p, hn_error *err) {
    *p = (hn_cli_project){0};
    hn_status st = hn_project_open(".", &p->project, err);
    if (st == HN_OK) p->scope = hn_project_scope(p->project);
    if (st == HN_OK && (parts & HN_CLI_DATA)) st = hn_project_dataset(p->project, &p->dataset, err);
    if (st == HN_OK && (parts & HN_CLI_STORE)) st = hn_store_open(hn_project_store_dir(p->project), &p->store, err);
    if (st != HN_OK) hn_cli_project_close(p);
    return st;
}

void hn_cli_project_close(hn_cli_project *p) {
    hn_store_close(p->store);
    if (p->project) hn_project_close(p->project);
    *p = (hn_cli_project){0};
}

void hn_cli_print_goals(hn_cli *cli, const hn_goals *goals) {
    static const hn_style styles[] = {HN_STYLE_GOOD, HN_STYLE_WARN, HN_STYLE_BAD, HN_STYLE_DIM};
    for (size_t i = 0; i < goals->n; i++)
        hn_output_print(cli->out, "%s%s%s\n", hn_output_style(cli->out, styles[goals->items[i].state]),
                        goals->items[i].text, hn_output_style(cli->out, HN_STYLE_NONE));
}

hn_status hn_cli_project_model(const hn_cli_project *p, const char *name, const hn_local_options *options,
                               hn_provider **provider, hn_error *err) {
    const char *wanted = name ? name : p->scope->model ? p->scope->model : "smollm2";
    hn_local_options own = *options;
    const hn_catalogue_entry *entry = hn_catalogue_find(wanted);
    if (!own.name) own.name = entry ? entry->name : NULL;
    return hn_cli_open_named(p->scope, wanted, &own, provider, err);
}

hn_status hn_cli_prompt_path(const hn_cli_project *p, const char *name, char out[HN_PATH_MAX], hn_error *err) {
    char file[HN_PATH_MAX];
    if (hn_file_exists(name) && !hn_file_is_dir(name)) return hn_path_join(out, ".", name, err);
    snprintf(file, sizeof file, "prompts/%s%s", name, hn_ends_with(name, ".yaml") ? "" : ".yaml");
    HN_TRY(hn_path_join(out, hn_project_root(p->project), file, err));
    if (hn_file_exists(out)) return HN_OK;
    return hn_fail(err, HN_ERR_NOT_FOUND, name, "give a prompt file, or its name under prompts/ without .yaml",
                   "there is no such prompt");
}

char *hn_cli_percent(hn_estimate e, char out[48]) {
    if (!isfinite(e.value))
        snprintf(out, 48, "-");
    else if (!isfinite(e.low) || !isfinite(e.high))
        snprintf(out, 48, "%.1f %%", 100 * e.value);
    else
        snprintf(out, 48, "%.1f %% [%.1f, %.1f]", 100 * e.value, 100 * e.low, 100 * e.high);
    return out;
}

void hn_cli_excerpt(const char *text, size_t max_columns, hn_buf *out) {
    size_t n = strlen(text), columns = 0;
    bool space = false;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t used = hn_utf8_decode(text + i, n - i, &cp);
        i += used;
        if (hn_unicode_is_space(cp)) {
            space = columns > 0;
            continue;
        }
        if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0)) continue;
        int width = used == 1 ? 1 : hn_utf8_width(text + i - used, used);
        columns += (size_t)(width > 0 ? width : 0) + space;
        if (columns > max_columns) {
            hn_buf_append_str(out, " ...");
            return;
        }
        if (space) hn_buf_append_char(out, ' ');
        space = false;
        hn_buf_append_codepoint(out, cp);
    }
}

const char *hn_cli_path_shown(const char *path) {
    char here[HN_PATH_MAX];
    if (!getcwd(here, sizeof here)) return path;
    size_t n = strlen(here);
    return hn_starts_with(path, here) && path[n] == '/' ? path + n + 1 : path;
}
