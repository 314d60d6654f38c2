/* hone embed: texts as vectors, the model's pooled hidden states. */
#include "app/embed_space.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/inference.h"
#include "cli/project_cli.h"
#include "stats/whiten.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 256 << 20, MATRIX_MAX = 8, EXCERPT = 40 };

typedef struct embedding {
    hn_cli *cli;
    hn_cli_project p; /* with --stats */
    hn_provider *provider;
    char *file;
    hn_str *texts; /* (n) */
    size_t n;
    hn_embed_space *space; /* with --stats */
    hn_embeddings e;
    hn_progress progress;
} embedding;

/* ---- what goes in ---- */

/* A text is a line; an empty last line is none. */
static hn_status take_lines(embedding *x, size_t n_bytes, hn_error *err) {
    size_t n = 0, at = 0;
    for (size_t i = 0; i < n_bytes; i++) n += x->file[i] == '\n';
    x->texts = hn_calloc(n + 1, sizeof *x->texts);
    if (!x->texts) return hn_fail_memory(err, n * sizeof *x->texts);
    while (at < n_bytes) {
        const char *end = memchr(x->file + at, '\n', n_bytes - at);
        size_t length = end ? (size_t)(end - x->file) - at : n_bytes - at;
        size_t shown = length && x->file[at + length - 1] == '\r' ? length - 1 : length;
        x->texts[x->n++] = (hn_str){x->file + at, shown};
        at += length + 1;
    }
    return HN_OK;
}

static hn_status read_texts(embedding *x, hn_error *err) {
    hn_cli *cli = x->cli;
    const char *path = hn_cli_string(cli, "file");
    size_t n_bytes;
    if ((cli->n_positional > 0) == (path != NULL))
        return hn_cli_usage(cli, err, "give texts, or --file with one a line");
    if (path) {
        HN_TRY(hn_file_read(path, FILE_BYTES_MAX, &x->file, &n_bytes, err));
        HN_TRY(take_lines(x, n_bytes, err));
        if (x->n) return HN_OK;
        return hn_fail(err, HN_ERR_INPUT, path, "write one text a line", "there is no text in it");
    }
    x->n = (size_t)cli->n_positional;
    x->texts = hn_calloc(x->n, sizeof *x->texts);
    if (!x->texts) return hn_fail_memory(err, x->n * sizeof *x->texts);
    for (size_t i = 0; i < x->n; i++) x->texts[i] = hn_str_of(cli->positional[i]);
    return HN_OK;
}

/* ---- the space of the project's training texts ---- */

static void on_progress(void *user, size_t n_done, size_t n_all) {
    embedding *x = user;
    x->progress.total = n_all;
    hn_progress_update(&x->progress, n_done);
}

static hn_status fit_texts(embedding *x, hn_str *texts, int32_t *labels, hn_buf *all, hn_error *err) {
    size_t n = 0, at = 0;
    const hn_dataset *d = x->p.dataset;
    for (size_t i = 0; i < d->n_cases; i++) {
        size_t start = all->len;
        if (d->cases[i].split != HN_SPLIT_TRAIN) continue;
        HN_TRY(hn_case_text(&d->cases[i], all, err));
        HN_TRY(hn_buf_check(all, "the cases' texts", err));
        texts[n].len = all->len - start;
        labels[n++] = d->cases[i].label;
    }
    for (size_t i = 0; i < n; at += texts[i++].len) texts[i].data = hn_buf_str(all) + at;
    bool labelled = x->p.scope->contract.kind == HN_CONTRACT_CHOICE;
    hn_embed_options o = {.store = x->p.store, .on_progress = on_progress, .user = x};
    hn_progress_begin(&x->progress, x->cli->out, "training texts", n, HN_PROGRESS_COUNT, "texts");
    hn_status st = hn_embed_space_fit(x->provider, texts, labelled ? labels : NULL, n, &o, &x->space, err);
    hn_progress_end(&x->progress);
    return st;
}

static hn_status fit_space(embedding *x, hn_error *err) {
    hn_buf all;
    hn_buf_init(&all, 0);
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &x->p, err));
    hn_str *texts = hn_calloc(x->p.dataset->n_cases, sizeof *texts);
    int32_t *labels = hn_calloc(x->p.dataset->n_cases, sizeof *labels);
    hn_status st = texts && labels ? fit_texts(x, texts, labels, &all, err)
                                   : hn_fail_memory(err, x->p.dataset->n_cases * sizeof *texts);
    hn_buf_free(&all);
    hn_free(texts);
    hn_free(labels);
    return st;
}

/* ---- what comes out ---- */

static double similarity(const embedding *x, size_t i, size_t k) {
    return hn_cosine(x->e.vectors + i * x->e.n_dims, x->e.vectors + k * x->e.n_dims, x->e.n_dims);
}

static json_t *vector_json(const embedding *x, size_t i) {
    json_t *numbers = json_array();
    for (size_t d = 0; numbers && d < x->e.n_dims; d++) {
        if (json_array_append_new(numbers, json_real((double)x->e.vectors[i * x->e.n_dims + d])) == 0) continue;
        json_decref(numbers);
        return NULL;
    }
    return numbers ? json_pack("{s:o, s:i, s:o}", "text", hn_cli_text(x->texts[i].data, x->texts[i].len), "n_tokens",
                               x->e.n_tokens[i], "vector", numbers)
                   : NULL;
}

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *stats_json(const embedding *x) {
    if (!x->space) return json_null();
    hn_embed_space_quality q = hn_embed_space_quality_of(x->space);
    return json_pack("{s:I, s:o, s:o, s:f}", "train_texts", (json_int_t)q.n, "auc", number(q.auc), "auc_raw",
                     number(q.auc_raw), "shrinkage", q.shrinkage);
}

static hn_status print_json(embedding *x, hn_error *err) {
    hn_provider_info info;
    json_t *list = json_array();
    HN_TRY(hn_provider_info_get(x->provider, &info, err));
    for (size_t i = 0; list && i < x->n; i++) {
        if (json_array_append_new(list, vector_json(x, i)) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    json_t *value = list ? json_pack("{s:s, s:s, s:I, s:b, s:O, s:o}", "model", info.name, "numeric_path",
                                     info.numeric_path, "n_dims", (json_int_t)x->e.n_dims, "whitened",
                                     (int)(x->space != NULL), "embeddings", list, "stats", stats_json(x))
                         : NULL;
    json_decref(list);
    return hn_cli_result(x->cli, value, err);
}

/* The most similar other text. */
static size_t nearest_to(const embedding *x, size_t i) {
    size_t best = i;
    for (size_t k = 0; k < x->n; k++)
        if (k != i && (best == i || similarity(x, i, k) > similarity(x, i, best))) best = k;
    return best;
}

static void excerpt_cell(hn_table *t, hn_str text) {
    hn_buf b;
    hn_buf_init(&b, 1 << 16);
    char *copy = hn_strndup(text.data, text.len);
    if (copy) hn_cli_excerpt(copy, EXCERPT, &b);
    hn_table_cell(t, "%s", hn_buf_str(&b));
    hn_free(copy);
    hn_buf_free(&b);
}

static hn_status print_texts(embedding *x, hn_error *err) {
    hn_table *t = hn_table_create(x->cli->out);
    bool matrix = x->n > 1 && x->n <= MATRIX_MAX;
    hn_table_column(t, " ", HN_ALIGN_RIGHT);
    hn_table_column(t, "text", HN_ALIGN_LEFT);
    hn_table_column(t, "tokens", HN_ALIGN_RIGHT);
    for (size_t k = 0; matrix && k < x->n; k++) {
        char head[16];
        snprintf(head, sizeof head, "%zu", k + 1);
        hn_table_column(t, head, HN_ALIGN_RIGHT);
    }
    if (!matrix && x->n > 1) hn_table_column(t, "nearest", HN_ALIGN_RIGHT);
    for (size_t i = 0; i < x->n; i++) {
        hn_table_row(t);
        hn_table_cell(t, "%zu", i + 1);
        excerpt_cell(t, x->texts[i]);
        hn_table_cell(t, "%d", x->e.n_tokens[i]);
        for (size_t k = 0; matrix && k < x->n; k++) hn_table_cell(t, "%.2f", similarity(x, i, k));
        if (!matrix && x->n > 1) {
            size_t nearest = nearest_to(x, i);
            hn_table_cell(t, "%zu (%.2f)", nearest + 1, similarity(x, i, nearest));
        }
    }
    return hn_table_print(t, err);
}

static hn_status print_result(embedding *x, hn_error *err) {
    HN_TRY(print_texts(x, err));
    hn_output_print(x->cli->out, "\n%zu numbers a text (all with --json). ", x->e.n_dims);
    if (!x->space) {
        hn_output_print(x->cli->out,
                        "Cosines of raw hidden states are high whatever the texts say: in a project, --stats\n"
                        "centres and whitens them on the training texts and says how far they can be trusted.\n");
        return HN_OK;
    }
    hn_embed_space_quality q = hn_embed_space_quality_of(x->space);
    hn_output_print(x->cli->out, "Cosines after centring and whitening on %zu training texts.\n", q.n);
    if (isfinite(q.auc))
        hn_output_print(
            x->cli->out,
            "They tell pairs of training texts with one label from pairs with two with an AUC of %.3f (as they "
            "are: %.3f; chance: 0.5).\n",
            q.auc, q.auc_raw);
    return HN_OK;
}

static hn_status embed(embedding *x, hn_error *err) {
    HN_TRY(read_texts(x, err));
    HN_TRY(hn_cli_open_model(x->cli, &x->provider, err));
    if (hn_cli_flag(x->cli, "stats")) HN_TRY(fit_space(x, err));
    hn_embed_options o = {.on_progress = on_progress, .user = x};
    hn_progress_begin(&x->progress, x->cli->out, "texts", x->n, HN_PROGRESS_COUNT, "texts");
    hn_status st = hn_embed_texts(x->provider, x->texts, x->n, &o, &x->e, err);
    hn_progress_end(&x->progress);
    HN_TRY(st);
    if (x->space) hn_embed_space_apply(x->space, &x->e);
    return x->cli->out->json ? print_json(x, err) : print_result(x, err);
}

static hn_status run(hn_cli *cli, hn_error *err) {
    embedding x = {.cli = cli};
    hn_status st = embed(&x, err);
    hn_embeddings_free(&x.e);
    hn_embed_space_free(x.space);
    hn_provider_close(x.provider);
    hn_cli_project_close(&x.p);
    hn_free(x.texts);
    hn_free(x.file);
    return st;
}

static const hn_option options[] = {
    HN_MODEL_OPTIONS,
    {.name = "file",
     .letter = 'f',
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "one text a line; - reads standard input"},
    {.name = "stats",
     .kind = HN_OPTION_FLAG,
     .help = "in a project: centre and whiten on the training texts, and show the AUC on pairs of one label"},
    {0}};

const hn_command hn_cmd_embed = {
    .name = "embed",
    .summary = "texts as vectors: the model's hidden states, the mean over a text's tokens",
    .usage = "[-m MODEL] (TEXT... | --file FILE) [--stats]",
    .description = "The last layer's normalised hidden states, without a chat template. A text that does not fit the "
                   "context window is an error.",
    .options = options,
    .max_args = -1,
    .examples = "  hone embed \"my card is lost\" \"where is my card\"\n  hone embed --file texts.txt --stats --json",
    .run = run,
};
