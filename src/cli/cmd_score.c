/* hone score: the likelihood of each of a set of answers. */
#include "cli/commands.h"
#include "cli/inference.h"
#include "format/json.h"
#include "stats/probability.h"

#include <string.h>

enum { LABELS_BYTES_MAX = 64 << 20 };

/* The labels of the command line, and who owns their parts. */
typedef struct label_set {
    hn_request_label *labels; /* (n) */
    json_t **shown; /* (n) as they were given: text or a list of ids; borrowed from `file`, or owned by `texts` */
    hn_tokens *ids; /* (n) of labels given as ids */
    size_t n;
    json_t *file, *texts;
} label_set;

static void label_set_free(label_set *s) {
    for (size_t i = 0; s->ids && i < s->n; i++) hn_tokens_free(&s->ids[i]);
    hn_free(s->ids);
    hn_free(s->labels);
    hn_free(s->shown);
    json_decref(s->file);
    json_decref(s->texts);
}

static hn_status take_label(label_set *s, size_t i, json_t *value, const char *where, hn_error *err) {
    s->shown[i] = value;
    if (json_is_string(value)) {
        s->labels[i].text = json_string_value(value);
        return HN_OK;
    }
    if (!json_is_array(value) || json_array_size(value) == 0)
        return hn_fail(err, HN_ERR_INPUT, where, "write texts or lists of token ids: [\"yes\", [345, 2]]",
                       "label %zu must be a text or a list of ids", i);
    for (size_t t = 0; t < json_array_size(value); t++) {
        json_t *id = json_array_get(value, t);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            return hn_fail(err, HN_ERR_INPUT, where, "write whole numbers", "label %zu has an id that is not one", i);
        if (hn_tokens_push(&s->ids[i], (int32_t)json_integer_value(id)) != HN_OK)
            return hn_fail_memory(err, sizeof(int32_t));
    }
    s->labels[i].ids = s->ids[i].ids;
    s->labels[i].n_ids = s->ids[i].n;
    return HN_OK;
}

static hn_status read_labels(hn_cli *cli, label_set *s, hn_error *err) {
    const char *path = hn_cli_string(cli, "labels"), *where = path ? path : "--label";
    size_t n_given;
    const char *const *given = hn_cli_list(cli, "label", &n_given);
    json_t *list = s->texts = json_array();
    for (size_t i = 0; i < n_given; i++) json_array_append_new(list, hn_cli_text(given[i], strlen(given[i])));
    if (path) {
        HN_TRY(hn_json_read(path, LABELS_BYTES_MAX, 0, &s->file, err));
        list = json_is_object(s->file) ? json_object_get(s->file, "labels") : s->file;
        if (!json_is_array(list) || json_array_size(list) == 0)
            return hn_fail(err, HN_ERR_INPUT, path, "write an array: [\"yes\", \"no\"]",
                           "the labels must be an array with at least one label");
    }
    size_t n = json_array_size(list);
    s->labels = hn_calloc(n + 1, sizeof *s->labels);
    s->shown = hn_calloc(n + 1, sizeof(json_t *));
    s->ids = hn_calloc(n + 1, sizeof *s->ids);
    if (!s->labels || !s->shown || !s->ids || (!path && n != n_given))
        return hn_fail_memory(err, n * sizeof *s->labels);
    s->n = n;
    for (size_t i = 0; i < n; i++) HN_TRY(take_label(s, i, json_array_get(list, i), where, err));
    return HN_OK;
}

typedef struct view {
    hn_cli *cli;
    hn_provider *provider;
    const hn_request *request;
    const label_set *set;
    hn_status status;
    hn_error *err;
    json_t *result;
} view;

static json_t *ids_json(const hn_tokens *ids) {
    json_t *list = json_array();
    for (size_t i = 0; i < ids->n; i++) json_array_append_new(list, json_integer(ids->ids[i]));
    return list;
}

static json_t *result_json(const view *v, const hn_completion *c, const double *probabilities, const hn_tokens *ids) {
    json_t *labels = json_array();
    for (size_t i = 0; i < c->n_labels; i++)
        json_array_append_new(labels,
                              json_pack("{s:O,s:o,s:f,s:f}", "label", v->set->shown[i], "ids", ids_json(&ids[i]),
                                        "logprob", c->label_logprobs[i], "probability", probabilities[i]));
    return json_pack("{s:o,s:o,s:o}", "labels", labels, "usage", hn_cli_usage_json(&c->usage), "timing",
                     hn_cli_timing_json(&c->timing));
}

static hn_status print_table(const view *v, const hn_completion *c, const double *probabilities, hn_error *err) {
    hn_table *table = hn_table_create(v->cli->out);
    bool *printed = hn_calloc(c->n_labels, sizeof *printed);
    if (!printed) {
        hn_table_free(table);
        return hn_fail_memory(err, c->n_labels);
    }
    hn_table_column(table, "LABEL", HN_ALIGN_LEFT);
    hn_table_column(table, "PROBABILITY", HN_ALIGN_RIGHT);
    hn_table_column(table, "LOGPROB", HN_ALIGN_RIGHT);
    for (size_t row = 0; row < c->n_labels; row++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < c->n_labels; i++)
            if (!printed[i] && (best == SIZE_MAX || c->label_logprobs[i] > c->label_logprobs[best])) best = i;
        printed[best] = true;
        hn_buf text;
        hn_buf_init(&text, 0);
        if (json_is_string(v->set->shown[best]))
            hn_buf_append_str(&text, json_string_value(v->set->shown[best]));
        else
            hn_json_write(v->set->shown[best], NULL, &text);
        hn_table_row(table);
        hn_table_cell(table, "%s", hn_buf_str(&text));
        hn_table_cell(table, "%.4f", probabilities[best]);
        hn_table_cell(table, "%.4f", c->label_logprobs[best]);
        if (row == 0) hn_table_row_style(table, HN_STYLE_GOOD);
        hn_buf_free(&text);
    }
    hn_free(printed);
    return hn_table_print(table, err);
}

static void on_done(void *user, uint64_t ticket, const hn_completion *c) {
    view *v = user;
    (void)ticket;
    if (c->status != HN_OK) return;
    double *probabilities = hn_calloc(c->n_labels, sizeof *probabilities);
    hn_tokens *ids = hn_calloc(c->n_labels, sizeof *ids);
    v->status = probabilities && ids ? hn_provider_label_ids(v->provider, v->request, ids, v->err)
                                     : hn_fail_memory(v->err, c->n_labels * sizeof *ids);
    if (v->status == HN_OK) {
        hn_softmax(c->label_logprobs, c->n_labels, probabilities);
        if (v->cli->out->json)
            v->result = result_json(v, c, probabilities, ids);
        else
            v->status = print_table(v, c, probabilities, v->err);
    }
    for (size_t i = 0; ids && i < c->n_labels; i++) hn_tokens_free(&ids[i]);
    hn_free(ids);
    hn_free(probabilities);
}

static hn_status score(hn_cli *cli, hn_provider *provider, hn_request *request, const label_set *set, hn_error *err) {
    view v = {.cli = cli, .provider = provider, .request = request, .set = set, .err = err};
    request->kind = HN_REQUEST_LABELS;
    request->labels = set->labels;
    request->n_labels = set->n;
    request->label_stop = hn_cli_string(cli, "stop");
    hn_status st = hn_cli_complete(provider, request, on_done, &v, err);
    if (st == HN_OK) st = v.status;
    if (st == HN_OK && cli->out->json) return hn_cli_result(cli, v.result, err);
    json_decref(v.result);
    return st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    static const char *const label_options[] = {"labels", "label", NULL};
    hn_provider *provider = NULL;
    hn_cli_prompt prompt = {0};
    hn_request request = {0};
    label_set set = {0};
    HN_TRY(hn_cli_one_of(cli, label_options, true, err));
    hn_status st = read_labels(cli, &set, err);
    if (st == HN_OK) st = hn_cli_open_model(cli, &provider, err);
    if (st == HN_OK) st = hn_cli_read_prompt(cli, provider, &prompt, &request, err);
    if (st == HN_OK) st = score(cli, provider, &request, &set, err);
    hn_cli_prompt_free(&prompt);
    hn_provider_close(provider);
    label_set_free(&set);
    return st;
}

static const hn_option options[] = {
    HN_MODEL_OPTIONS,
    HN_PROMPT_OPTIONS,
    {.name = "labels",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "labels as JSON: texts, or lists of token ids that are taken as they are"},
    {.name = "label", .letter = 'l', .kind = HN_OPTION_LIST, .value = "TEXT", .help = "one label"},
    {.name = "stop",
     .kind = HN_OPTION_STRING,
     .value = "TEXT",
     .help = "with --raw or --ids: the text that ends a label (default: the token that ends a turn)"},
    {0}};

const hn_command hn_cmd_score = {
    .name = "score",
    .summary = "how likely each of a set of answers is",
    .usage = "[-m MODEL] (--prompt TEXT | --user TEXT | --messages FILE | --ids 1,2,3 | --raw TEXT) (--labels FILE | "
             "--label TEXT ...)",
    .description = "The exact likelihood of each whole label behind the prompt, its end included, without length "
                   "normalisation; `probability` is a\n"
                   "label's share among the labels given.",
    .options = options,
    .max_args = 0,
    .examples = "  hone score --user \"Is Paris in France? Answer yes or no.\" --label yes --label no\n"
                "  hone score --raw \"The capital of France is\" --label \" Paris\" --label \" Rome\" --stop .",
    .run = run};
