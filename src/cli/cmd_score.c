/* hone score: the likelihood of each of a set of answers. */
#include "base/clock.h"
#include "base/interrupt.h"
#include "cli/commands.h"
#include "cli/inference.h"
#include "format/json.h"
#include "stats/probability.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABELS_BYTES_MAX = 64 << 20, CASES_BYTES_MAX = 256 << 20 };

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

/* What all cases of a call share. */
typedef struct scoring {
    hn_cli *cli;
    hn_provider *provider;
    const label_set *set;
    const hn_request *request; /* the labels, how, and of a single case the prompt */
    double *priors;            /* (n_labels), or NULL */
    hn_tokens *label_ids;      /* (n_labels) of a single case */
} scoring;

/* Of one case. */
typedef struct view {
    const scoring *all;
    hn_status status;
    hn_error error;
    json_t *result;
} view;

static json_t *ids_json(const hn_tokens *ids) {
    json_t *list = json_array();
    for (size_t i = 0; i < ids->n; i++) json_array_append_new(list, json_integer(ids->ids[i]));
    return list;
}

static bool is_bound(const hn_completion *c, size_t i) { return c->label_is_bound && c->label_is_bound[i]; }

/* What labels are compared by; -inf for those that were left out. */
static double score_of(const scoring *all, const hn_completion *c, size_t i) {
    if (is_bound(c, i)) return -(double)INFINITY;
    return c->label_logprobs[i] - (all->priors ? all->priors[i] : 0);
}

static size_t best_of(const double *scores, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

static json_t *label_json(const scoring *all, const hn_completion *c, const double *probabilities, size_t i) {
    hn_label_mode mode = all->request->label_mode;
    json_t *label = json_pack("{s:O}", "label", all->set->shown[i]);
    if (all->label_ids) json_object_set_new(label, "ids", ids_json(&all->label_ids[i]));
    json_object_set_new(label, is_bound(c, i) ? "logprob_at_most" : "logprob", json_real(c->label_logprobs[i]));
    if (mode != HN_LABELS_BEST) json_object_set_new(label, "probability", json_real(probabilities[i]));
    return label;
}

static json_t *result_json(const scoring *all, const hn_completion *c, const double *scores,
                           const double *probabilities) {
    static const char *const modes[] = {"exact", "bounded", "best"};
    hn_label_mode mode = all->request->label_mode;
    json_t *labels = json_array(), *best = all->set->shown[best_of(scores, c->n_labels)];
    for (size_t i = 0; i < c->n_labels; i++) json_array_append_new(labels, label_json(all, c, probabilities, i));
    json_t *value = json_pack("{s:o,s:o,s:o}", "labels", labels, "usage", hn_cli_usage_json(&c->usage), "timing",
                              hn_cli_timing_json(&c->timing));
    if (mode != HN_LABELS_ALL || hn_cli_given(all->cli, "cases")) json_object_set(value, "best", best);
    if (mode == HN_LABELS_ALL) return value;
    json_object_set_new(value, "probabilities", json_string(modes[mode]));
    json_object_set_new(value, "left_out_at_most", json_real(c->label_open_share));
    return value;
}

static hn_status print_table(const scoring *all, const hn_completion *c, const double *scores,
                             const double *probabilities, hn_error *err) {
    hn_table *table = hn_table_create(all->cli->out);
    bool *printed = hn_calloc(c->n_labels, sizeof *printed), shares = all->request->label_mode != HN_LABELS_BEST;
    if (!printed) {
        hn_table_free(table);
        return hn_fail_memory(err, c->n_labels);
    }
    hn_table_column(table, "LABEL", HN_ALIGN_LEFT);
    if (shares) hn_table_column(table, "PROBABILITY", HN_ALIGN_RIGHT);
    hn_table_column(table, "LOGPROB", HN_ALIGN_RIGHT);
    for (size_t row = 0; row < c->n_labels; row++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < c->n_labels; i++)
            if (!printed[i] && (best == SIZE_MAX || scores[i] > scores[best])) best = i;
        printed[best] = true;
        hn_buf text;
        hn_buf_init(&text, 0);
        if (json_is_string(all->set->shown[best]))
            hn_buf_append_str(&text, json_string_value(all->set->shown[best]));
        else
            hn_json_write(all->set->shown[best], NULL, &text);
        hn_table_row(table);
        hn_table_cell(table, "%s", hn_buf_str(&text));
        if (shares) hn_table_cell(table, is_bound(c, best) ? "< 0.0001" : "%.4f", probabilities[best]);
        hn_table_cell(table, is_bound(c, best) ? "< %.4f" : "%.4f", c->label_logprobs[best]);
        if (row == 0) hn_table_row_style(table, HN_STYLE_GOOD);
        hn_buf_free(&text);
    }
    hn_free(printed);
    return hn_table_print(table, err);
}

static void on_done(void *user, uint64_t ticket, const hn_completion *c) {
    view *v = user;
    const scoring *all = v->all;
    (void)ticket;
    v->status = c->status;
    v->error = c->error;
    if (c->status != HN_OK) return;
    double *scores = hn_calloc(c->n_labels, sizeof *scores),
           *probabilities = hn_calloc(c->n_labels, sizeof *probabilities);
    if (!scores || !probabilities)
        v->status = hn_fail_memory(&v->error, c->n_labels * sizeof *scores);
    else {
        for (size_t i = 0; i < c->n_labels; i++) scores[i] = score_of(all, c, i);
        hn_softmax(scores, c->n_labels, probabilities);
        if (all->cli->out->json || hn_cli_given(all->cli, "cases"))
            v->result = result_json(all, c, scores, probabilities);
        else
            v->status = print_table(all, c, scores, probabilities, &v->error);
    }
    hn_free(scores);
    hn_free(probabilities);
}

static hn_status score_one(scoring *all, hn_request *request, hn_error *err) {
    view v = {.all = all};
    all->label_ids = hn_calloc(all->set->n, sizeof *all->label_ids);
    hn_status st = all->label_ids ? hn_provider_label_ids(all->provider, request, all->label_ids, err)
                                  : hn_fail_memory(err, all->set->n * sizeof *all->label_ids);
    if (st == HN_OK) st = hn_cli_complete(all->provider, request, on_done, &v, err);
    if (st == HN_OK && v.status != HN_OK) {
        st = v.status;
        *err = v.error;
    }
    for (size_t i = 0; all->label_ids && i < all->set->n; i++) hn_tokens_free(&all->label_ids[i]);
    hn_free(all->label_ids);
    if (st == HN_OK && all->cli->out->json) return hn_cli_result(all->cli, v.result, err);
    json_decref(v.result);
    return st;
}

/* ---- many cases ---- */

typedef struct case_list {
    json_t **rows;  /* (n) the file's lines */
    hn_tokens *ids; /* (n) of those given as ids */
    json_t **built; /* (n) messages made from a text */
    view *views;    /* (n) */
    size_t n, rows_capacity;
    char *text;
} case_list;

static void case_list_free(case_list *l) {
    for (size_t i = 0; i < l->n; i++) {
        json_decref(l->rows[i]);
        if (l->built) json_decref(l->built[i]);
        if (l->ids) hn_tokens_free(&l->ids[i]);
        if (l->views) json_decref(l->views[i].result);
    }
    hn_free(l->rows);
    hn_free(l->built);
    hn_free(l->ids);
    hn_free(l->views);
    hn_free(l->text);
}

static hn_status read_cases(case_list *l, const char *path, hn_error *err) {
    size_t n_bytes;
    json_t *row;
    HN_TRY(hn_file_read(path, CASES_BYTES_MAX, &l->text, &n_bytes, err));
    hn_jsonl lines = {.text = l->text, .n = n_bytes, .name = path};
    for (;;) {
        HN_TRY(hn_jsonl_next(&lines, &row, err));
        if (!row) break;
        if (!hn_grow((void **)&l->rows, &l->rows_capacity, l->n + 1, sizeof(json_t *))) {
            json_decref(row);
            return hn_fail_memory(err, (l->n + 1) * sizeof(json_t *));
        }
        l->rows[l->n++] = row;
    }
    if (l->n == 0) return hn_fail(err, HN_ERR_INPUT, path, "write one JSON object a line", "there are no cases");
    l->ids = hn_calloc(l->n, sizeof *l->ids);
    l->built = hn_calloc(l->n, sizeof(json_t *));
    l->views = hn_calloc(l->n, sizeof *l->views);
    return l->ids && l->built && l->views ? HN_OK : hn_fail_memory(err, l->n * sizeof *l->views);
}

/* A line's prompt: {"user": TEXT}, {"raw": TEXT}, {"messages": [...]} or {"ids": [...]}. */
static hn_status fill_case(case_list *l, size_t i, const char *path, hn_request *r, hn_error *err) {
    json_t *row = l->rows[i], *ids = json_object_get(row, "ids"), *messages = json_object_get(row, "messages");
    const char *user = json_string_value(json_object_get(row, "user")),
               *raw = json_string_value(json_object_get(row, "raw"));
    bool fine = (user != NULL) + (raw != NULL) + json_is_array(ids) + json_is_array(messages) == 1;
    for (size_t t = 0; fine && t < json_array_size(ids); t++) {
        json_t *id = json_array_get(ids, t);
        fine = json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) <= INT32_MAX;
        if (fine && hn_tokens_push(&l->ids[i], (int32_t)json_integer_value(id)) != HN_OK)
            return hn_fail_memory(err, sizeof(int32_t));
    }
    if (!fine)
        return hn_fail(
            err, HN_ERR_INPUT, path,
            "write one of {\"user\": TEXT}, {\"raw\": TEXT}, {\"messages\": [...]}, {\"ids\": [1, 2]} a line",
            "case %zu has no prompt that can be read", i);
    if (user) messages = l->built[i] = json_pack("[{s:s,s:s}]", "role", "user", "content", user);
    if (user && !messages) return hn_fail_memory(err, strlen(user));
    r->messages = messages;
    r->raw = raw;
    r->ids = ids ? l->ids[i].ids : NULL;
    r->n_ids = l->ids[i].n;
    return HN_OK;
}

static hn_status run_cases(scoring *all, case_list *l, const char *path, double *seconds, hn_error *err) {
    size_t pending = 1;
    double began = hn_clock_seconds();
    for (size_t i = 0; i < l->n; i++) {
        hn_request request = *all->request;
        uint64_t ticket;
        l->views[i] = (view){.all = all};
        HN_TRY(fill_case(l, i, path, &request, err));
        HN_TRY(hn_provider_submit(all->provider, &request, 0, on_done, &l->views[i], &ticket, err));
    }
    while (pending > 0 && !hn_interrupted()) HN_TRY(hn_provider_step(all->provider, 1000, &pending, err));
    *seconds = hn_clock_seconds() - began;
    if (pending > 0) return hn_fail(err, HN_ERR_INTERRUPTED, NULL, NULL, "stopped with %zu cases left", pending);
    for (size_t i = 0; i < l->n; i++) {
        char where[48];
        if (l->views[i].status == HN_OK) continue;
        snprintf(where, sizeof where, "case %zu", i);
        if (err) *err = l->views[i].error;
        hn_error_prefix(err, where);
        return l->views[i].status;
    }
    return HN_OK;
}

static hn_status print_cases(const scoring *all, case_list *l, double seconds, hn_error *err) {
    if (all->cli->out->json) {
        json_t *cases = json_array();
        for (size_t i = 0; i < l->n; i++) json_array_append(cases, l->views[i].result);
        return hn_cli_result(
            all->cli,
            json_pack("{s:o,s:f,s:f}", "cases", cases, "seconds", seconds, "cases_per_s", (double)l->n / seconds), err);
    }
    hn_table *table = hn_table_create(all->cli->out);
    hn_table_column(table, "CASE", HN_ALIGN_RIGHT);
    hn_table_column(table, "BEST", HN_ALIGN_LEFT);
    for (size_t i = 0; i < l->n; i++) {
        json_t *best = json_object_get(l->views[i].result, "best");
        hn_table_row(table);
        hn_table_cell(table, "%zu", i);
        hn_table_cell(table, "%s", json_is_string(best) ? json_string_value(best) : "(ids)");
    }
    HN_TRY(hn_table_print(table, err));
    return HN_OK;
}

static hn_status score_cases(scoring *all, hn_error *err) {
    const char *path = hn_cli_string(all->cli, "cases");
    case_list list = {0};
    double seconds = 0;
    hn_status st = read_cases(&list, path, err);
    if (st == HN_OK) st = run_cases(all, &list, path, &seconds, err);
    if (st == HN_OK) st = print_cases(all, &list, seconds, err);
    case_list_free(&list);
    return st;
}

static hn_status read_priors(hn_cli *cli, size_t n, double **priors, hn_error *err) {
    const char *path = hn_cli_string(cli, "priors");
    json_t *list;
    if (!path) return HN_OK;
    HN_TRY(hn_json_read(path, LABELS_BYTES_MAX, 0, &list, err));
    bool fine = json_is_array(list) && json_array_size(list) == n;
    double *values = fine ? hn_alloc(n * sizeof *values) : NULL;
    for (size_t i = 0; values && i < n; i++) {
        fine = fine && json_is_number(json_array_get(list, i));
        values[i] = json_number_value(json_array_get(list, i));
    }
    json_decref(list);
    *priors = values;
    if (fine) return values ? HN_OK : hn_fail_memory(err, n * sizeof *values);
    return hn_fail(err, HN_ERR_INPUT, path, "write an array of numbers: [-3.5, -4]",
                   "there must be one number for each of the %zu labels", n);
}

static hn_status score(scoring *all, hn_request *request, hn_error *err) {
    hn_cli *cli = all->cli;
    const char *how = hn_cli_string(cli, "probabilities");
    request->kind = HN_REQUEST_LABELS;
    request->labels = all->set->labels;
    request->n_labels = all->set->n;
    request->label_stop = hn_cli_string(cli, "stop");
    request->label_mode = strcmp(how, "best") == 0      ? HN_LABELS_BEST
                          : strcmp(how, "bounded") == 0 ? HN_LABELS_BOUNDED
                                                        : HN_LABELS_ALL;
    HN_TRY(read_priors(cli, all->set->n, &all->priors, err));
    request->label_log_priors = all->priors;
    all->request = request;
    return hn_cli_given(cli, "cases") ? score_cases(all, err) : score_one(all, request, err);
}

static hn_status run(hn_cli *cli, hn_error *err) {
    static const char *const label_options[] = {"labels", "label", NULL}, *const case_options[] = {
                                                                              "cases", "prompt", "user", "messages",
                                                                              "ids",   "raw",    NULL};
    hn_provider *provider = NULL;
    hn_cli_prompt prompt = {0};
    hn_request request = {0};
    label_set set = {0};
    HN_TRY(hn_cli_one_of(cli, label_options, true, err));
    if (hn_cli_given(cli, "cases")) HN_TRY(hn_cli_one_of(cli, case_options, true, err));
    hn_status st = read_labels(cli, &set, err);
    if (st == HN_OK) st = hn_cli_open_model(cli, &provider, err);
    scoring all = {.cli = cli, .provider = provider, .set = &set};
    if (st == HN_OK && !hn_cli_given(cli, "cases")) st = hn_cli_read_prompt(cli, provider, &prompt, &request, err);
    if (st == HN_OK) st = score(&all, &request, err);
    hn_free(all.priors);
    hn_cli_prompt_free(&prompt);
    hn_cli_note_prefix_cache(cli, provider);
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
    {.name = "probabilities",
     .kind = HN_OPTION_CHOICE,
     .value = "exact|bounded|best",
     .otherwise = "exact",
     .help = "bounded: each probability within 0.0001, labels that cannot matter are left out; best: only which label "
             "is the best"},
    {.name = "priors",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "a JSON array of log-priors, one for each label, that are taken off before labels are compared"},
    {.name = "cases",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "many prompts, in place of one: a JSON object a line with user, raw, messages or ids; scored together"},
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
                "  hone score --raw \"The capital of France is\" --label \" Paris\" --label \" Rome\" --stop .\n"
                "  hone score --cases prompts.jsonl --labels labels.json --probabilities best",
    .run = run};
