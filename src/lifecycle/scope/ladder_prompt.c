/* The prompted rungs: a plain prompt made from the scope (goal, labels, columns), and the same with the nearest training cases as examples. They
 * are written to .hone/ladder/ as the files they are, so that whoever wants to go on from there can copy them, and are answered through the
 * App, as `hone eval` would. No run is recorded; answers are shared with runs through the cache. See ladder_parts.h. */
#include "app/app.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "format/json.h"
#include "lifecycle/eval/grade.h"
#include "lifecycle/scope/ladder_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 128, STEP_MS = 100 };

/* ---- the prompt ---- */

/* Text that Jinja must take as it is. */
static void append_plain(hn_buf *b, const char *text) {
    for (const char *c = text; *c; c++) {
        if (*c == '{')
            hn_buf_append_str(b, "{{ \"{\" }}");
        else
            hn_buf_append_char(b, *c);
    }
}

static void append_string(hn_buf *b, const char *text) { hn_json_write_string(text, strlen(text), false, b); }

static bool is_conversation(const hn_case *c) { return json_is_array(json_object_get(c->inputs, "messages")); }

/* "subject: {{ inputs["subject"] }}" a line; one column goes without its name. */
static void append_fields(hn_buf *b, const hn_case *c) {
    const char *name;
    json_t *value;
    bool several = json_object_size(c->inputs) > 1;
    json_object_foreach(c->inputs, name, value) {
        if (b->len && b->data[b->len - 1] != '\n') hn_buf_append_char(b, '\n');
        if (several) {
            append_plain(b, name);
            hn_buf_append_str(b, ": ");
        }
        hn_buf_append_str(b, "{{ inputs[");
        append_string(b, name);
        hn_buf_append_str(b, "] }}");
    }
}

static void append_task(hn_buf *b, const hn_scope *scope) {
    const hn_contract *c = &scope->contract;
    if (scope->goal && *scope->goal) {
        append_plain(b, scope->goal);
        hn_buf_append_char(b, '\n');
    }
    switch (c->kind) {
    case HN_CONTRACT_CHOICE: hn_buf_append_str(b, "Answer with one of: {{ labels | join(\", \") }}"); break;
    case HN_CONTRACT_NUMBER: hn_buf_append_str(b, "Answer with a number and nothing else."); break;
    case HN_CONTRACT_REGEX:
        hn_buf_append_str(b, "Answer with a text that matches the pattern ");
        append_plain(b, c->regex);
        break;
    case HN_CONTRACT_JSON: hn_buf_append_str(b, "Answer with JSON and nothing else."); break;
    case HN_CONTRACT_TEXT: hn_buf_append_str(b, "Answer with the text that is asked for and nothing else."); break;
    }
}

static void append_message(hn_buf *yaml, const char *role, const hn_buf *text) {
    hn_buf_appendf(yaml, "  - %s: ", role);
    append_string(yaml, hn_buf_str(text));
    hn_buf_append_char(yaml, '\n');
}

/* In raw form the label follows the prompt's last word, so it begins with a space. */
static void append_wordings(hn_buf *yaml, const hn_contract *c) {
    hn_buf spaced;
    hn_buf_init(&spaced, 0);
    hn_buf_append_str(yaml, "labels:\n");
    for (size_t l = 0; l < c->n_labels; l++) {
        hn_buf_clear(&spaced);
        hn_buf_append_char(&spaced, ' ');
        hn_buf_append_str(&spaced, c->labels[l]);
        hn_buf_append_str(yaml, "  ");
        append_string(yaml, c->labels[l]);
        hn_buf_append_str(yaml, ": ");
        append_string(yaml, hn_buf_str(&spaced));
        hn_buf_append_char(yaml, '\n');
    }
    hn_buf_free(&spaced);
}

typedef struct form {
    bool few, raw, likelihood;
} form;

static void append_messages(hn_buf *yaml, const hn_ladder_work *w, form f) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_buf_append_str(yaml, "messages:\n");
    if (!(f.raw && f.few)) append_task(&text, w->scope); /* raw examples speak for themselves */
    if (!f.raw) {
        append_message(yaml, "system", &text);
        hn_buf_clear(&text);
    } else if (text.len)
        hn_buf_append_str(&text, "\n\n");
    if (is_conversation(w->cases[0]))
        hn_buf_append_str(yaml, "  - insert: messages\n");
    else {
        append_fields(&text, w->cases[0]);
        if (f.raw) { /* the answer's name says what it is about */
            hn_buf_append_char(&text, '\n');
            append_plain(&text, w->scope->target_column ? w->scope->target_column : "Answer");
            hn_buf_append_char(&text, ':');
        }
        append_message(yaml, "user", &text);
    }
    hn_buf_free(&text);
}

static void write_yaml(const hn_ladder_work *w, form f, hn_buf *yaml) {
    hn_buf_append_str(yaml, f.few
                                ? "# What `hone scope` asked with the nearest training cases as examples. Copy it to "
                                  "prompts/ to go on from here.\n"
                                : "# What `hone scope` asked: made from hone.yaml alone. Copy it to prompts/ to go on "
                                  "from here.\n");
    hn_buf_appendf(yaml, "template: %s\n", f.raw ? "raw" : "chat");
    append_messages(yaml, w, f);
    if (f.raw && w->contract->kind == HN_CONTRACT_CHOICE) append_wordings(yaml, w->contract);
    if (f.few) hn_buf_appendf(yaml, "examples: {pick: nearest, n: %d}\n", HN_LADDER_EXAMPLES);
    hn_buf_appendf(yaml, "answer: %s\n", f.likelihood ? "likelihood" : "generate");
    /* Examples carry the labels' shares already, and measuring the prior behind them would take as long as many cases. */
    if (f.likelihood)
        hn_buf_append_str(yaml, f.few ? "probabilities: best\n" : "calibrate: prior\nprobabilities: best\n");
}

static hn_status make_prompt(const hn_ladder_work *w, form f, hn_prompt **prompt, hn_error *err) {
    char dir[HN_PATH_MAX], path[HN_PATH_MAX];
    hn_buf yaml;
    hn_buf_init(&yaml, (size_t)16 << 20);
    HN_TRY(hn_path_join(dir, hn_project_store_dir(w->setup->project), "ladder", err));
    HN_TRY(hn_path_join(path, dir, f.few ? "few-shot.yaml" : f.raw ? "zero-shot-raw.yaml" : "zero-shot.yaml", err));
    write_yaml(w, f, &yaml);
    hn_status st = hn_buf_check(&yaml, "the ladder's prompt", err);
    if (st == HN_OK) st = hn_dir_create(dir, err);
    if (st == HN_OK) st = hn_file_write_atomic(path, hn_buf_str(&yaml), yaml.len, err);
    hn_buf_free(&yaml);
    return st == HN_OK ? hn_prompt_load(path, w->scope, w->setup->dataset, prompt, err) : st;
}

/* ---- asking ---- */

typedef struct asking asking;

typedef struct slot {
    asking *a;
    size_t position;
} slot;

struct asking {
    hn_ladder_work *w;
    hn_rung *rung;
    hn_app *app;
    slot *slots; /* (n) */
    double *ms;  /* (n) NaN: not answered */
    int64_t longest;
    double cost; /* of all answers, in dollars; NaN: no prices are known */
    size_t n_done, n_failed;
    hn_status failed;
    hn_error failure, first_failure; /* what ends everything; what one case met */
};

static void on_answer(void *user, uint64_t ticket, const hn_answer *answer) {
    slot *s = user;
    asking *a = s->a;
    const hn_case *c = a->w->cases[a->w->n_train + s->position];
    (void)ticket;
    a->n_done++;
    if (a->failed != HN_OK) return;
    bool own = answer->status == HN_OK || answer->status == HN_ERR_CONTEXT || answer->status == HN_ERR_LIMIT ||
               answer->status == HN_ERR_TIMEOUT;
    if (!own) {
        a->failed = answer->status;
        a->failure = answer->error;
        return;
    }
    bool fine = answer->status == HN_OK;
    if (!fine && a->n_failed++ == 0) a->first_failure = answer->error;
    a->rung->right[s->position] = fine && hn_grade_answer(a->w->contract, c->target, answer->value);
    if (a->rung->answers) a->rung->answers[s->position] = fine ? answer->label : -1;
    a->ms[s->position] = fine ? answer->timing.prefill_ms + answer->timing.decode_ms : (double)NAN;
    int64_t tokens = answer->usage.prompt_tokens + answer->usage.completion_tokens;
    if (tokens > a->longest) a->longest = tokens;
    a->cost += answer->usage.cost;
}

static hn_status ask_all(asking *a, hn_error *err) {
    size_t next = 0, pending = 0;
    while (next < a->rung->n || pending > 0) {
        while (next < a->rung->n && pending < WINDOW) {
            HN_TRY(hn_interrupt_check(err));
            a->slots[next] = (slot){a, next};
            HN_TRY(hn_app_submit(a->app, a->w->cases[a->w->n_train + next], 0, on_answer, &a->slots[next], NULL, err));
            next++;
            pending++;
        }
        HN_TRY(hn_interrupt_check(err));
        HN_TRY(hn_app_step(a->app, STEP_MS, &pending, err));
        if (a->failed != HN_OK) {
            if (err) *err = a->failure;
            return a->failed;
        }
        hn_ladder_tell(a->w, a->rung->name, a->n_done, a->rung->n);
    }
    return HN_OK;
}

static int by_value(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static hn_status count_cost(asking *a, hn_error *err) {
    hn_provider_info info;
    size_t n = 0;
    HN_TRY(hn_provider_info_get(a->w->setup->providers[a->rung->provider], &info, err));
    for (size_t i = 0; i < a->rung->n; i++)
        if (isfinite(a->ms[i])) a->ms[n++] = a->ms[i];
    if (n == 0)
        return hn_fail(err, HN_ERR_CONTEXT, a->rung->name, NULL, "no case could be answered: %.300s",
                       a->first_failure.message);
    qsort(a->ms, n, sizeof *a->ms, by_value);
    a->rung->latency_ms = a->ms[n / 2];
    a->rung->cost_per_1000 = 1e3 * a->cost / (double)a->n_done;
    a->rung->memory_bytes =
        info.model ? (double)info.model_bytes + (double)info.kv_bytes_per_token * (double)a->longest : (double)NAN;
    if (a->n_failed)
        snprintf(a->rung->detail, sizeof a->rung->detail, "%zu cases could not be answered and count as wrong",
                 a->n_failed);
    return HN_OK;
}

static hn_status ask(hn_ladder_work *w, const hn_prompt *prompt, hn_rung *rung, hn_error *err) {
    asking a = {.w = w, .rung = rung};
    hn_app_parts parts = {.scope = w->scope,
                          .dataset = w->setup->dataset,
                          .prompt = prompt,
                          .provider = w->setup->providers[rung->provider],
                          .store = w->store};
    double began = hn_clock_seconds();
    a.slots = hn_calloc(rung->n, sizeof *a.slots);
    a.ms = hn_calloc(rung->n, sizeof *a.ms);
    hn_status st = a.slots && a.ms ? HN_OK : hn_fail_memory(err, rung->n * sizeof *a.slots);
    if (st == HN_OK) st = hn_app_create(&parts, &a.app, err);
    if (st == HN_OK) {
        hn_error unused;
        st = ask_all(&a, err);
        hn_status flushed = hn_app_flush(a.app, st == HN_OK ? err : &unused); /* what was computed is kept */
        if (st == HN_OK) st = flushed;
    }
    hn_app_free(a.app);
    if (st == HN_OK) st = count_cost(&a, err);
    rung->seconds = hn_clock_seconds() - began;
    hn_free(a.slots);
    hn_free(a.ms);
    return st;
}

/* ---- the rungs ---- */

static hn_status prompt_rung(hn_ladder_work *w, hn_rung_kind kind, int provider, form f, hn_error *err) {
    char key[65];
    json_t *kept;
    hn_rung *rung;
    hn_prompt *prompt;
    size_t n = w->n_dev;
    if (w->setup->limit == 0 && n > HN_LADDER_PROMPT_CASES) n = HN_LADDER_PROMPT_CASES;
    HN_TRY(hn_ladder_begin_rung(w, kind, provider, n, &rung, err));
    HN_TRY(make_prompt(w, f, &prompt, err));
    hn_status st = hn_ladder_key(w, "rung", rung, prompt->hash, rung->n, key, err);
    if (st == HN_OK) st = hn_ladder_get(w, key, &kept, err);
    if (st == HN_OK) {
        bool found = kept && hn_ladder_read_rung(kept, rung->answers != NULL, rung);
        json_decref(kept);
        if (!found) {
            st = ask(w, prompt, rung, err);
            if (st == HN_OK) st = hn_ladder_keep(w, key, hn_ladder_write_rung(rung), err);
        }
    }
    hn_prompt_free(prompt);
    HN_TRY(st);
    return hn_ladder_finish_rung(w, rung, err);
}

hn_status hn_ladder_prompts(hn_ladder_work *w, int provider, hn_error *err) {
    hn_provider_info info;
    HN_TRY(hn_provider_info_get(w->setup->providers[provider], &info, err));
    bool local = info.model != NULL, choice = w->contract->kind == HN_CONTRACT_CHOICE,
         conversation = is_conversation(w->cases[0]), chat = !local || *info.template_hash;
    for (int few = 0; few < 2; few++) {
        char name[120];
        hn_error own = {0};
        form f = {.few = few, .raw = !chat || (few && local && choice), .likelihood = local && choice};
        snprintf(name, sizeof name, "%s, %.80s", few ? "nearest examples" : "plain prompt", info.name);
        if (conversation && (f.raw || few)) {
            hn_ladder_leave_out(w, name, "the inputs are conversations, which have no plain form");
            continue;
        }
        hn_status st = prompt_rung(w, few ? HN_RUNG_FEW_SHOT : HN_RUNG_ZERO_SHOT, provider, f, &own);
        if (st == HN_OK) continue;
        if (st == HN_ERR_INTERRUPTED || st == HN_ERR_MEMORY) {
            if (err) *err = own;
            return st;
        }
        hn_ladder_leave_out(w, name, own.message);
    }
    return HN_OK;
}
