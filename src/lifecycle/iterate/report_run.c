/* Loading what reports draw on; see report_run.h. */
#include "lifecycle/iterate/report_run.h"

#include <math.h>
#include <string.h>

/* Scores come by grader: where each begins. */
static hn_status index_graders(hn_report_run *r, hn_error *err) {
    size_t n = r->scores.n, capacity = 0, starts_capacity = 0;
    for (size_t i = 0; i <= n; i++) {
        bool begins = i < n && (i == 0 || strcmp(r->scores.rows[i].grader, r->scores.rows[i - 1].grader) != 0);
        if (!begins && i < n) continue;
        if (!hn_grow((void **)&r->grader_starts, &starts_capacity, r->n_graders + 1, sizeof *r->grader_starts))
            return hn_fail_memory(err, 0);
        r->grader_starts[r->n_graders] = i;
        if (i == n) break;
        if (!hn_grow((void **)&r->graders, &capacity, r->n_graders + 1, sizeof *r->graders))
            return hn_fail_memory(err, 0);
        r->graders[r->n_graders++] = r->scores.rows[i].grader;
    }
    return HN_OK;
}

static hn_status load_goals(const hn_report_source *s, hn_report_run *r, hn_error *err) {
    const hn_run_detail *d = &r->detail;
    if (strcmp(d->run->state, "done") != 0) return HN_OK;
    const hn_scope *scope = r->kept.project ? hn_project_scope(r->kept.project) : s->scope;
    if (r->data) HN_TRY(hn_baselines_of_rows(r->data, &scope->contract, &d->list, s->store, &r->baselines, err));
    hn_goal_facts facts = {s->scope, s->store, d->run, &d->list, &d->report, &r->baselines};
    return hn_goals_check(&facts, &r->goals, err);
}

static hn_status load(const hn_report_source *s, const char *name, hn_report_run *r, hn_error *err) {
    HN_TRY(hn_run_detail_load(s->store, name, s->scope, &r->detail, err));
    const hn_run *run = r->detail.run;
    HN_TRY(hn_kept_dataset(s->store, run, s->today, s->today_scope_hash, &r->kept, &r->data, err));
    HN_TRY(load_goals(s, r, err));
    HN_TRY(hn_note_list_load(s->store, run->id, &r->notes, err));
    HN_TRY(hn_run_links_load(s->store, run->id, &r->links, err));
    HN_TRY(hn_score_load(s->store, run->id, NULL, &r->scores, err));
    return index_graders(r, err);
}

hn_status hn_report_run_load(const hn_report_source *source, const char *name, hn_report_run *out, hn_error *err) {
    *out = (hn_report_run){0};
    hn_status st = load(source, name, out, err);
    if (st != HN_OK) hn_report_run_free(out);
    return st;
}

void hn_report_run_free(hn_report_run *r) {
    hn_baselines_free(&r->baselines);
    hn_run_detail_free(&r->detail);
    hn_note_list_free(&r->notes);
    hn_run_links_free(&r->links);
    hn_score_list_free(&r->scores);
    hn_kept_close(&r->kept);
    hn_free(r->graders);
    hn_free(r->grader_starts);
    *r = (hn_report_run){0};
}

hn_status hn_report_case_text(const hn_report_run *r, const char *case_id, hn_buf *out, hn_error *err) {
    const hn_case *c = r->data ? hn_dataset_find(r->data, case_id) : NULL;
    return c ? hn_case_text(c, out, err) : HN_OK;
}

double hn_report_score(const hn_report_run *r, size_t grader, int64_t position) {
    size_t low = r->grader_starts[grader], high = r->grader_starts[grader + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->scores.rows[middle].position < position)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < r->grader_starts[grader + 1] && r->scores.rows[low].position == position;
    return found ? r->scores.rows[low].value : (double)NAN;
}
