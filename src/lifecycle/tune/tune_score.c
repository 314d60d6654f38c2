/* Scoring dev cases through the App; see tune_score.h. */
#include "lifecycle/tune/tune_score.h"

#include "app/app.h"
#include "base/interrupt.h"
#include "lifecycle/eval/grade.h"

#include <string.h>

enum { WINDOW = 128, STEP_MS = 100 };

typedef struct scoring scoring;

typedef struct slot {
    scoring *s;
    size_t position;
} slot;

struct scoring {
    const hn_tune_setup *setup;
    const uint32_t *cases;
    size_t in_flight;
    unsigned char *scores;
    slot *slots;
    int turn; /* wrong answers still to pass over before one is kept */
    hn_tune_wrong *wrong;
    hn_status failed;
    hn_error failure;
};

static hn_status keep_wrong(scoring *s, const hn_case *c, const char *said, hn_error *err) {
    if (s->wrong->c && s->turn <= 0) return HN_OK;
    char *copy = said ? hn_strdup(said) : NULL;
    if (said && !copy) return hn_fail_memory(err, 0);
    hn_tune_wrong_free(s->wrong);
    *s->wrong = (hn_tune_wrong){c, copy};
    s->turn--;
    return HN_OK;
}

static void on_answer(void *user, uint64_t ticket, const hn_answer *a) {
    slot *at = user;
    scoring *s = at->s;
    const hn_case *c = &s->setup->dataset->cases[s->cases[at->position]];
    (void)ticket;
    s->in_flight--;
    if (s->failed != HN_OK) return;
    if (a->status != HN_OK && a->status != HN_ERR_CONTEXT && a->status != HN_ERR_LIMIT) {
        s->failed = a->status;
        s->failure = a->error;
        return;
    }
    const hn_contract *contract = &hn_project_scope(s->setup->project)->contract;
    s->scores[at->position] = a->status == HN_OK && hn_grade_answer(contract, c->target, a->value);
    if (!s->scores[at->position]) s->failed = keep_wrong(s, c, a->value, &s->failure);
}

static hn_status answer_all(scoring *s, hn_app *app, size_t n, hn_error *err) {
    for (size_t next = 0; next < n || s->in_flight;) {
        HN_TRY(hn_interrupt_check(err));
        for (; next < n && s->in_flight < WINDOW; next++) {
            s->slots[next] = (slot){s, next};
            s->in_flight++;
            HN_TRY(hn_app_submit(app, &s->setup->dataset->cases[s->cases[next]], 0, on_answer, &s->slots[next], NULL,
                                 err));
        }
        HN_TRY(hn_app_step(app, STEP_MS, NULL, err));
        if (s->failed != HN_OK) {
            if (err) *err = s->failure;
            return s->failed;
        }
    }
    return HN_OK;
}

hn_status hn_tune_score(const hn_tune_setup *setup, hn_provider *provider, const uint32_t *cases, size_t n, int turn,
                        unsigned char *scores, hn_tune_wrong *wrong, hn_error *err) {
    scoring s = {.setup = setup, .cases = cases, .scores = scores, .turn = turn % 7, .wrong = wrong};
    hn_app *app = NULL;
    *wrong = (hn_tune_wrong){0};
    s.slots = hn_calloc(n ? n : 1, sizeof *s.slots);
    if (!s.slots) return hn_fail_memory(err, n * sizeof *s.slots);
    hn_status st = hn_app_create(&(hn_app_parts){.scope = hn_project_scope(setup->project),
                                                 .dataset = setup->dataset,
                                                 .prompt = setup->prompt,
                                                 .provider = provider},
                                 &app, err);
    if (st == HN_OK) st = answer_all(&s, app, n, err);
    hn_app_free(app);
    hn_free(s.slots);
    if (st != HN_OK) hn_tune_wrong_free(wrong);
    return st;
}

void hn_tune_wrong_free(hn_tune_wrong *wrong) {
    hn_free(wrong->said);
    *wrong = (hn_tune_wrong){0};
}
