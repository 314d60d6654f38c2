/* hone models: the models that can be fetched and those that are here, with what they need and do on this machine. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/remote_list.h"
#include "kernel/machine.h"
#include "model/catalogue.h"

#include <dirent.h>
#include <string.h>

enum { SHOWN_CONTEXT = 2048, FILES_MAX = 256 };

/* A generated token costs more than its matrix products: attention, norms, sampling. Measured on the catalogue's models. */
static const double products_share = 0.8;

typedef struct estimate {
    double tokens_per_s; /* one stream; 0: not known */
    uint64_t memory_bytes, memory_low_bytes;
} estimate;

static hn_dtype dtype_of(const char *name) {
    static const hn_dtype known[] = {HN_DTYPE_F32,  HN_DTYPE_F16,  HN_DTYPE_BF16, HN_DTYPE_Q4_0, HN_DTYPE_Q4_1,
                                     HN_DTYPE_Q5_0, HN_DTYPE_Q5_1, HN_DTYPE_Q8_0, HN_DTYPE_Q2_K, HN_DTYPE_Q3_K,
                                     HN_DTYPE_Q4_K, HN_DTYPE_Q5_K, HN_DTYPE_Q6_K};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(hn_dtype_of(known[i]).name, name) == 0) return known[i];
    return HN_DTYPE_NONE;
}

typedef struct machine_view {
    const hn_kernels *kernels;
    hn_pool *pool;
    hn_machine limits;
} machine_view;

static hn_status estimate_entry(const machine_view *m, const hn_catalogue_entry *e, estimate *out, hn_error *err) {
    double rate = 0, pack_ratio = 0;
    uint64_t kv = hn_catalogue_kv_bytes_per_token(e) * SHOWN_CONTEXT;
    HN_TRY(
        hn_machine_decode_rate(m->kernels, m->pool, dtype_of(e->format), HN_PACK_KEEP, 0.05, &rate, &pack_ratio, err));
    if (rate > m->limits.bytes_per_s)
        rate = m->limits.bytes_per_s; /* the test matrix may lie in a cache, the model does not */
    out->tokens_per_s = products_share * rate / (double)e->file_bytes;
    out->memory_low_bytes = e->file_bytes + kv;
    out->memory_bytes = out->memory_low_bytes + (uint64_t)(pack_ratio * (double)e->file_bytes);
    return HN_OK;
}

static json_t *entry_json(const hn_catalogue_entry *e, const estimate *x, const char *path, bool present) {
    json_t *aliases = json_array();
    for (size_t i = 0; i < HN_MODEL_ALIASES_MAX && e->aliases[i]; i++)
        json_array_append_new(aliases, json_string(e->aliases[i]));
    return json_pack("{s:s,s:o,s:s,s:s,s:s,s:I,s:I,s:i,s:I,s:I,s:f,s:b,s:o,s:s}", "name", e->name, "aliases", aliases,
                     "title", e->title, "licence", e->licence, "format", e->format, "parameters",
                     (json_int_t)e->n_parameters, "file_bytes", (json_int_t)e->file_bytes, "context", e->n_context,
                     "memory_bytes", (json_int_t)x->memory_bytes, "memory_low_bytes", (json_int_t)x->memory_low_bytes,
                     "estimated_tokens_per_s", x->tokens_per_s, "present", present, "path",
                     hn_cli_text(path, strlen(path)), "sha256", e->sha256);
}

static void print_entry(hn_table *table, const hn_catalogue_entry *e, const estimate *x, bool present) {
    char size[32], memory[32], context[32];
    hn_table_row(table);
    hn_table_cell(table, "%s%s%s", e->name, e->aliases[0] ? ", " : "", e->aliases[0] ? e->aliases[0] : "");
    hn_table_cell(table, "%.0f M", (double)e->n_parameters / 1e6);
    hn_table_cell(table, "%s %s", hn_format_bytes(e->file_bytes, size), e->format);
    hn_table_cell(table, "%s", hn_format_bytes(x->memory_bytes, memory));
    hn_table_cell(table, "%s", hn_format_count(e->n_context, context));
    hn_table_cell(table, "%.0f", x->tokens_per_s);
    hn_table_cell(table, "%s", e->licence);
    hn_table_cell(table, "%s", present ? "yes" : "hone pull");
    if (present) hn_table_row_style(table, HN_STYLE_GOOD);
}

static hn_status list_catalogue(hn_cli *cli, const machine_view *m, json_t *list, hn_error *err) {
    hn_table *table = hn_table_create(cli->out);
    static const struct {
        const char *name;
        hn_align align;
    } columns[] = {{"MODEL", HN_ALIGN_LEFT},   {"PARAMETERS", HN_ALIGN_RIGHT}, {"FILE", HN_ALIGN_RIGHT},
                   {"MEMORY", HN_ALIGN_RIGHT}, {"CONTEXT", HN_ALIGN_RIGHT},    {"TOKENS/S*", HN_ALIGN_RIGHT},
                   {"LICENCE", HN_ALIGN_LEFT}, {"HERE", HN_ALIGN_LEFT}};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        hn_table_column(table, columns[i].name, columns[i].align);
    hn_status st = HN_OK;
    for (size_t i = 0; i < hn_catalogue_count() && st == HN_OK; i++) {
        char path[HN_PATH_MAX];
        estimate x = {0};
        const hn_catalogue_entry *e = hn_catalogue_at(i);
        st = hn_catalogue_path(e, path, err);
        if (st == HN_OK) st = estimate_entry(m, e, &x, err);
        bool present = st == HN_OK && hn_file_exists(path);
        print_entry(table, e, &x, present);
        if (st == HN_OK && json_array_append_new(list, entry_json(e, &x, path, present)) != 0)
            st = hn_fail_memory(err, 0);
    }
    if (st == HN_OK) return hn_table_print(table, err);
    hn_table_free(table);
    return st;
}

/* Model files in the cache that are not the catalogue's. */
static hn_status list_files(hn_cli *cli, const char *folder, json_t *list, hn_error *err) {
    DIR *dir = opendir(folder);
    size_t n = 0;
    hn_status st = HN_OK;
    for (struct dirent *d = dir ? readdir(dir) : NULL; d && n < FILES_MAX && st == HN_OK; d = readdir(dir)) {
        char path[HN_PATH_MAX], size[32];
        bool known = false;
        if (!hn_ends_with(d->d_name, ".gguf") || hn_path_join(path, folder, d->d_name, NULL) != HN_OK) continue;
        for (size_t i = 0; i < hn_catalogue_count(); i++) known |= strcmp(hn_catalogue_at(i)->file, d->d_name) == 0;
        int64_t bytes = hn_file_size(path);
        if (known || bytes < 0) continue;
        if (n++ == 0) hn_output_print(cli->out, "\nOther model files in %s\n", folder);
        hn_output_print(cli->out, "  %s (%s)\n", d->d_name, hn_format_bytes((uint64_t)bytes, size));
        json_t *entry = json_pack("{s:o,s:o,s:I}", "name", hn_cli_text(d->d_name, strlen(d->d_name)), "path",
                                  hn_cli_text(path, strlen(path)), "file_bytes", (json_int_t)bytes);
        if (json_array_append_new(list, entry) != 0) st = hn_fail_memory(err, 0);
    }
    if (dir) closedir(dir);
    return st;
}

/* Those of the project that the working folder belongs to, where it belongs to one. */
static hn_status list_remote(hn_cli *cli, json_t *list, hn_error *err) {
    hn_project *project;
    hn_error unused;
    if (hn_project_open(".", &project, &unused) != HN_OK) return HN_OK;
    hn_status st = hn_cli_remote_list(cli, hn_project_scope(project), list, err);
    hn_project_close(project);
    return st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    char folder[HN_PATH_MAX];
    machine_view m = {0};
    json_t *models = json_array(), *files = json_array(), *remote = json_array();
    hn_status st = hn_path_models(folder, err);
    if (st == HN_OK) st = hn_kernels_choose(NULL, &m.kernels, err);
    if (st == HN_OK) st = hn_pool_create(0, &m.pool, err);
    if (st == HN_OK) st = hn_machine_measure(m.kernels, m.pool, 0.1, &m.limits, err);
    if (st == HN_OK) st = list_catalogue(cli, &m, models, err);
    if (st == HN_OK)
        hn_output_print(cli->out,
                        "\nMEMORY is for a context of %d tokens (less with --memory low). *One answer at a time, "
                        "estimated from the speed of\n"
                        "this machine (%d threads, %s, %.0f GB/s); `hone bench` measures it.\n",
                        SHOWN_CONTEXT, hn_pool_size(m.pool), m.kernels->name, m.limits.bytes_per_s / 1e9);
    if (st == HN_OK) st = list_files(cli, folder, files, err);
    if (st == HN_OK) st = list_remote(cli, remote, err);
    if (st == HN_OK && cli->out->json)
        st = hn_cli_result(cli,
                           json_pack("{s:O,s:O,s:O,s:{s:s,s:i,s:f,s:f}}", "models", models, "files", files, "remote",
                                     remote, "machine", "isa", m.kernels->name, "threads", hn_pool_size(m.pool),
                                     "bytes_per_s", m.limits.bytes_per_s, "flops_per_s", m.limits.flops_per_s),
                           err);
    json_decref(models);
    json_decref(files);
    json_decref(remote);
    hn_pool_free(m.pool);
    return st;
}

const hn_command hn_cmd_models = {
    .name = "models",
    .summary = "the models that can be fetched, what they need, how fast they would run here; those elsewhere",
    .usage = "",
    .max_args = 0,
    .run = run};
