/* Many cases through an app; see tune_answers.h. */
#include "lifecycle/tune/tune_answers.h"

#include "base/alloc.h"
#include "base/interrupt.h"
#include "lifecycle/eval/grade.h"

#include <string.h>

enum { WINDOW = 128, STEP_MS = 100 };

typedef struct collecting collecting;

typedef struct slot {
    collecting *c;
    size_t position;
} slot;

struct collecting {
    const hn_tune_asking *asking;
    hn_tune_answers *out;
    slot *slots;
    size_t in_flight, n_done;
    hn_status failed;
    hn_error failure;
};

static const char *keep_text(hn_arena *arena, const char *text, size_t n, hn_status *st, hn_error *err) {
    if (!text) return NULL;
    char *copy = hn_arena_alloc(arena, n + 1);
    if (!copy) {
        *st = hn_fail_memory(err, n);
        return NULL;
    }
    memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

static hn_status keep(collecting *c, size_t position, const hn_answer *a, hn_error *err) {
    const hn_tune_setup *s = c->asking->setup;
    const hn_case *asked = &s->dataset->cases[c->asking->cases[position]];
    hn_tune_answer *to = &c->out->items[position];
    hn_status st = HN_OK;
    *to = (hn_tune_answer){.label = a->label, .prompt_tokens = a->usage.prompt_tokens};
    to->value = keep_text(c->out->arena, a->value, a->value ? strlen(a->value) : 0, &st, err);
    to->text = keep_text(c->out->arena, a->text, a->text_bytes, &st, err);
    to->right = asked->target && hn_grade_answer(&hn_project_scope(s->project)->contract, asked->target, a->value);
    c->out->n_valid += a->value != NULL;
    if (!a->probabilities || st != HN_OK) return st;
    double *p = hn_arena_alloc(c->out->arena, a->n_labels * sizeof *p);
    if (!p) return hn_fail_memory(err, a->n_labels * sizeof *p);
    memcpy(p, a->probabilities, a->n_labels * sizeof *p);
    to->probabilities = p;
    c->out->n_labels = a->n_labels;
    return HN_OK;
}

static void on_answer(void *user, uint64_t ticket, const hn_answer *a) {
    slot *at = user;
    collecting *c = at->c;
    const hn_tune_hooks *hooks = c->asking->hooks;
    (void)ticket;
    c->in_flight--;
    c->n_done++;
    if (c->failed != HN_OK) return;
    if (a->status == HN_OK)
        c->failed = keep(c, at->position, a, &c->failure);
    else if (a->status != HN_ERR_CONTEXT && a->status != HN_ERR_LIMIT) {
        c->failed = a->status;
        c->failure = a->error;
    } else
        c->out->items[at->position].label = -1;
    if (hooks && hooks->on_teacher) hooks->on_teacher(hooks->user, c->n_done, c->asking->n);
}

static hn_status ask_all(collecting *c, hn_app *app, hn_error *err) {
    const hn_tune_asking *a = c->asking;
    for (size_t next = 0; next < a->n || c->in_flight;) {
        HN_TRY(hn_interrupt_check(err));
        for (; next < a->n && c->in_flight < WINDOW; next++) {
            c->slots[next] = (slot){c, next};
            c->in_flight++;
            HN_TRY(hn_app_submit(app, &a->setup->dataset->cases[a->cases[next]], 0, on_answer, &c->slots[next], NULL,
                                 err));
        }
        HN_TRY(hn_app_step(app, STEP_MS, NULL, err));
        if (c->failed != HN_OK) {
            if (err) *err = c->failure;
            return c->failed;
        }
    }
    return HN_OK;
}

hn_status hn_tune_answers_collect(const hn_tune_asking *asking, hn_tune_answers *out, hn_error *err) {
    collecting c = {.asking = asking, .out = out};
    hn_app_parts parts = {.scope = hn_project_scope(asking->setup->project),
                          .dataset = asking->setup->dataset,
                          .prompt = asking->prompt,
                          .provider = asking->provider,
                          .store = asking->store};
    hn_app *app = NULL;
    hn_error unused;
    *out = (hn_tune_answers){.n = asking->n, .arena = hn_arena_create(0)};
    if (!out->arena) return hn_fail_memory(err, 0);
    out->items = hn_arena_calloc(out->arena, asking->n + 1, sizeof *out->items);
    c.slots = hn_calloc(asking->n + 1, sizeof *c.slots);
    hn_status st = out->items && c.slots ? HN_OK : hn_fail_memory(err, asking->n * sizeof *c.slots);
    if (st == HN_OK) st = hn_app_create(&parts, &app, err);
    if (st == HN_OK) st = ask_all(&c, app, err);
    if (st == HN_OK)
        st = hn_app_flush(app, err);
    else if (app)
        (void)!hn_app_flush(app, &unused); /* what was answered is kept */
    hn_app_free(app);
    hn_free(c.slots);
    if (st != HN_OK) hn_tune_answers_free(out);
    return st;
}

void hn_tune_answers_free(hn_tune_answers *answers) {
    hn_arena_free(answers->arena);
    *answers = (hn_tune_answers){0};
}
