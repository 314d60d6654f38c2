/* The story of a project; see history.h. A run's predecessor is the earlier run on the same cases whose prompt differs least (another model counts
 * as a change, too), among the newest LOOK_BACK and the best so far. */
#include "lifecycle/iterate/history.h"

#include "base/clock.h"
#include "base/str.h"
#include "lifecycle/iterate/change_words.h"
#include "lifecycle/iterate/compare.h"
#include "lifecycle/iterate/run_diff.h"
#include "lifecycle/scope/baseline.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_BACK = 30, MODEL_SIZE = 15, CHANGES_SHOWN = 4 };

/* A run that has had its line. */
typedef struct told {
    hn_run *run;
    hn_flat prompt;
    double accuracy;
} told;

typedef struct teller {
    const hn_history_setup *setup;
    json_t *entries;
    told *told;
    size_t n, capacity;
    size_t best; /* among `told`, on dev; SIZE_MAX: none yet */
    bool target_said;
    json_int_t n_looks;
    char dataset_hash[65];
    hn_note_list notes;
    size_t next_note;
    json_t *helped, *hurt, *open; /* lessons by how they came out */
} teller;

static bool same(const char *a, const char *b) { return strcmp(a ? a : "", b ? b : "") == 0; }

static hn_status append(json_t *list, json_t *value, hn_error *err) {
    return value && json_array_append_new(list, value) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

static json_t *when_json(int64_t ms) {
    char when[32];
    return json_string(hn_clock_format(ms, false, when));
}

/* ---- notes ---- */

/* Those written before `until_ms`. */
static hn_status tell_notes(teller *t, int64_t until_ms, hn_error *err) {
    for (; t->next_note < t->notes.n && t->notes.rows[t->next_note].at_ms < until_ms; t->next_note++) {
        const hn_note *note = &t->notes.rows[t->next_note];
        char of[32] = "project";
        if (note->run_id) snprintf(of, sizeof of, "r%lld", (long long)note->run_id);
        HN_TRY(append(t->entries,
                      json_pack("{s:s, s:o, s:s, s:o}", "kind", "note", "when", when_json(note->at_ms), "of", of,
                                "text", json_stringn_nocheck(note->text, strlen(note->text))),
                      err));
    }
    return HN_OK;
}

/* ---- predecessors ---- */

static bool comparable(const hn_run *a, const hn_run *b) {
    return same(a->spec.split, b->spec.split) && same(a->spec.dataset_hash, b->spec.dataset_hash) &&
           same(a->spec.case_set_hash, b->spec.case_set_hash);
}

static hn_status distance(const told *a, const told *b, size_t *size, hn_error *err) {
    HN_TRY(hn_change_size(&a->prompt, &b->prompt, size, err));
    *size += same(a->run->spec.model_hash, b->run->spec.model_hash) ? 0 : MODEL_SIZE;
    return HN_OK;
}

static hn_status find_predecessor(const teller *t, const told *now, const told **found, hn_error *err) {
    size_t least = SIZE_MAX, size;
    *found = NULL;
    for (size_t i = t->n; i-- > 0;) {
        const told *earlier = &t->told[i];
        if ((t->n - i > LOOK_BACK && i != t->best) || !comparable(earlier->run, now->run)) continue;
        HN_TRY(distance(earlier, now, &size, err));
        if (size < least) {
            least = size;
            *found = earlier;
        }
    }
    return HN_OK;
}

static bool is_same_app(const hn_run_spec *a, const hn_run_spec *b) {
    return same(a->prompt_hash, b->prompt_hash) && same(a->model_hash, b->model_hash) &&
           same(a->template_hash, b->template_hash) && same(a->parameters_json, b->parameters_json);
}

/* The very same app on the same cases: computed again, or a repetition. */
static bool is_repeat(const teller *t, const hn_run *run) {
    for (size_t i = 0; i < t->n; i++)
        if (comparable(t->told[i].run, run) && is_same_app(&t->told[i].run->spec, &run->spec)) return true;
    return run->spec.parameters_json && strstr(run->spec.parameters_json, "\"repeat\":");
}

/* An earlier run of the same app, on other cases: there is no change to learn from. */
static const told *find_same_app(const teller *t, const hn_run *run) {
    for (size_t i = t->n; i-- > 0;)
        if (is_same_app(&t->told[i].run->spec, &run->spec)) return &t->told[i];
    return NULL;
}

static hn_status tell_same(const told *before, json_t *entry, hn_error *err) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)before->run->id);
    return json_object_set_new(entry, "same_as", json_string(name)) == 0 ? HN_OK : hn_fail_memory(err, 0);
}

/* ---- lessons ---- */

static const char *verdict_words(const hn_verdict *v) {
    switch (v->kind) {
    case HN_VERDICT_BETTER:
    case HN_VERDICT_WORSE: return v->matters ? "certain" : "certain, but too small to matter";
    case HN_VERDICT_EQUIVALENT: return "no difference that matters";
    case HN_VERDICT_CANNOT_TELL: break;
    }
    return "cannot tell yet";
}

void hn_history_changes(const json_t *entry, hn_buf *out) {
    const json_t *changed = json_object_get(entry, "changed");
    size_t n = json_array_size(changed);
    for (size_t i = 0; i < n && i < CHANGES_SHOWN; i++)
        hn_buf_appendf(out, "%s%s", i ? ", " : "", json_string_value(json_array_get(changed, i)));
    if (n > CHANGES_SHOWN) hn_buf_appendf(out, " and %zu more changes", n - CHANGES_SHOWN);
    if (n == 0) hn_buf_append_str(out, "the same prompt and model");
}

/* "prior correction added: +12.0 points, certain" */
static hn_status add_lesson(teller *t, json_t *entry, const hn_short_verdict *said, hn_error *err) {
    const hn_verdict *v = &said->verdict;
    hn_buf text;
    hn_buf_init(&text, 1 << 16);
    hn_history_changes(entry, &text);
    hn_buf_appendf(&text, said->factor == 1 ? ": %+.3g%s%s, %s" : ": %+.1f%s%s, %s", said->factor * v->difference.value,
                   *said->unit ? " " : "", said->unit, verdict_words(v));
    hn_status st = hn_buf_check(&text, "a lesson", err);
    json_t *lesson = st == HN_OK ? json_stringn_nocheck(hn_buf_str(&text), text.len) : NULL;
    hn_buf_free(&text);
    json_t *list = v->kind == HN_VERDICT_BETTER ? t->helped : v->kind == HN_VERDICT_WORSE ? t->hurt : t->open;
    if (st == HN_OK && (!lesson || json_object_set(entry, "lesson", lesson) != 0)) st = hn_fail_memory(err, 0);
    if (st == HN_OK)
        st = append(list,
                    json_pack("{s:O, s:O, s:O}", "run", json_object_get(entry, "run"), "against",
                              json_object_get(entry, "against"), "lesson", lesson),
                    err);
    json_decref(lesson);
    return st;
}

static hn_status tell_against(teller *t, const told *before, const told *now, json_t *entry, hn_error *err) {
    hn_short_verdict said;
    json_t *changed;
    char name[32];
    hn_error why;
    snprintf(name, sizeof name, "r%lld", (long long)before->run->id);
    hn_status st = hn_compare_verdict(t->setup->store, before->run, now->run, t->setup->scope, &said, &why);
    if (st != HN_OK) {
        if (err) *err = why;
        return st == HN_ERR_INPUT ? HN_OK : st; /* not comparable after all: the line stands without a verdict */
    }
    HN_TRY(hn_change_words(t->setup->store, before->run, now->run, &changed, err));
    const hn_verdict *v = &said.verdict;
    json_t *verdict = json_pack("{s:s, s:s?, s:s, s:o, s:f, s:s, s:s, s:f, s:o}", "against", name, "against_prompt",
                                before->run->spec.prompt_name, "verdict", hn_verdict_name(v->kind), "difference",
                                hn_report_estimate_json(v->difference), "p", v->p, "words", verdict_words(v), "unit",
                                said.unit, "factor", said.factor, "changed", changed);
    bool fine = verdict && json_object_update(entry, verdict) == 0;
    json_decref(verdict);
    return fine ? add_lesson(t, entry, &said, err) : hn_fail_memory(err, 0);
}

static json_t *accuracy_json(const hn_run_line *line) {
    return hn_report_estimate_json((hn_estimate){line->accuracy, line->low, line->high});
}

static json_t *entry_of(const hn_run *run, const hn_run_line *line, const char *kind) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    return json_pack("{s:s, s:o, s:s, s:s?, s:s?, s:s?, s:I, s:o, s:s, s:b}", "kind", kind, "when",
                     when_json(run->started_ms), "run", name, "prompt", run->spec.prompt_name, "model",
                     run->spec.model_name, "split", run->spec.split, "n", (json_int_t)run->spec.n_cases, "accuracy",
                     accuracy_json(line), "tags", run->tags, "starred", run->starred);
}

/* ---- other entries ---- */

static hn_status tell_data(teller *t, const hn_run *run, hn_error *err) {
    const char *hash = run->spec.dataset_hash ? run->spec.dataset_hash : "";
    if (*t->dataset_hash && strcmp(t->dataset_hash, hash) != 0)
        HN_TRY(append(t->entries,
                      json_pack("{s:s, s:o, s:s, s:s}", "kind", "data", "when", when_json(run->started_ms), "data",
                                hash, "text", "the data changed: runs before and after cannot be compared"),
                      err));
    snprintf(t->dataset_hash, sizeof t->dataset_hash, "%s", hash);
    return HN_OK;
}

static hn_status tell_target(teller *t, const hn_run *run, const hn_run_line *line, hn_error *err) {
    double wanted = t->setup->scope->target_value;
    if (t->target_said || !isfinite(wanted) || strcmp(t->setup->scope->metric, "accuracy") != 0 ||
        !(line->accuracy >= wanted))
        return HN_OK;
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    t->target_said = true;
    return append(t->entries,
                  json_pack("{s:s, s:o, s:s, s:f, s:b}", "kind", "target", "when", when_json(run->finished_ms), "run",
                            name, "target", wanted, "sure", line->low >= wanted),
                  err);
}

static hn_status tell_baselines(teller *t, const hn_run *first, hn_error *err) {
    hn_prediction_list rows;
    hn_baselines b;
    json_t *value = NULL;
    if (!t->setup->dataset || !same(t->setup->dataset->hash, first->spec.dataset_hash)) return HN_OK;
    HN_TRY(hn_prediction_load_marks(t->setup->store, first->id, true, &rows, err));
    hn_status st = hn_baselines_of_rows(t->setup->dataset, &t->setup->scope->contract, &rows, t->setup->store, &b, err);
    hn_prediction_list_free(&rows);
    HN_TRY(st);
    if (b.known) st = hn_baselines_json(&b, &value, err);
    hn_baselines_free(&b);
    if (st != HN_OK || !value) return st;
    return append(t->entries,
                  json_pack("{s:s, s:s?, s:I, s:o}", "kind", "baselines", "split", first->spec.split, "n",
                            (json_int_t)first->spec.n_cases, "baselines", value),
                  err);
}

/* ---- the runs in order ---- */

static hn_status tell_dev(teller *t, told *now, const hn_run_line *line, hn_error *err) {
    const told *before;
    json_t *entry = entry_of(now->run, line, "run");
    if (!entry) return hn_fail_memory(err, 0);
    if (t->n == 0 && strcmp(now->run->spec.split, "dev") == 0) {
        hn_status st = tell_baselines(t, now->run, err);
        if (st != HN_OK) {
            json_decref(entry);
            return st;
        }
    }
    const told *itself = find_same_app(t, now->run);
    hn_status st = itself ? tell_same(itself, entry, err) : find_predecessor(t, now, &before, err);
    if (st == HN_OK && !itself && before) st = tell_against(t, before, now, entry, err);
    bool best =
        t->best == SIZE_MAX || !comparable(t->told[t->best].run, now->run) || now->accuracy > t->told[t->best].accuracy;
    if (st == HN_OK && json_object_set_new(entry, "best", json_boolean(best)) != 0) st = hn_fail_memory(err, 0);
    if (best) t->best = t->n;
    if (st == HN_OK && json_array_append(t->entries, entry) != 0) st = hn_fail_memory(err, 0);
    json_decref(entry);
    if (st == HN_OK) st = tell_target(t, now->run, line, err);
    return st;
}

static hn_status tell_test(teller *t, const hn_run *run, const hn_run_line *line, hn_error *err) {
    json_t *entry = entry_of(run, line, "test");
    if (!entry || json_object_set_new(entry, "look", json_integer(++t->n_looks)) != 0) {
        json_decref(entry);
        return hn_fail_memory(err, 0);
    }
    return append(t->entries, entry, err);
}

/* Takes over the run. */
static hn_status tell_run(teller *t, hn_run *run, const hn_run_line *line, hn_error *err) {
    bool test = same(run->spec.split, "test"), repeat = is_repeat(t, run);
    told now = {.run = run, .accuracy = line->accuracy};
    hn_status st = repeat && !test ? HN_OK : tell_notes(t, run->started_ms, err);
    if (st == HN_OK && !repeat) st = tell_data(t, run, err);
    if (st == HN_OK && test) st = tell_test(t, run, line, err);
    if (st != HN_OK || test || repeat || !run->spec.split) {
        hn_run_free(run);
        return st;
    }
    st = hn_run_prompt_flat(t->setup->store, run, &now.prompt, err);
    if (st == HN_OK && !hn_grow((void **)&t->told, &t->capacity, t->n + 1, sizeof *t->told))
        st = hn_fail_memory(err, t->n * sizeof *t->told);
    if (st == HN_OK) st = tell_dev(t, &now, line, err);
    if (st != HN_OK) {
        hn_flat_free(&now.prompt);
        hn_run_free(run);
        return st;
    }
    t->told[t->n++] = now;
    return HN_OK;
}

static hn_status tell_all(teller *t, hn_error *err) {
    hn_run_lines lines;
    hn_run_filter filter = {.kind = "eval", .state = "done", .limit = t->setup->n_last};
    HN_TRY(hn_run_lines_load(t->setup->store, &filter, &lines, err));
    hn_status st = HN_OK;
    for (size_t i = lines.n; st == HN_OK && i-- > 0;) {
        char name[32];
        hn_run *run;
        snprintf(name, sizeof name, "r%lld", (long long)lines.rows[i].id);
        st = hn_run_find(t->setup->store, name, &run, err);
        if (st == HN_OK) st = tell_run(t, run, &lines.rows[i], err);
    }
    hn_run_lines_free(&lines);
    if (st == HN_OK) st = tell_notes(t, INT64_MAX, err);
    return st;
}

hn_status hn_history_make(const hn_history_setup *setup, json_t **history, hn_error *err) {
    teller t = {.setup = setup,
                .entries = json_array(),
                .best = SIZE_MAX,
                .helped = json_array(),
                .hurt = json_array(),
                .open = json_array()};
    *history = NULL;
    hn_status st = t.entries && t.helped && t.hurt && t.open ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK) st = hn_note_list_load(setup->store, HN_NOTES_ALL, &t.notes, err);
    if (st == HN_OK) st = tell_all(&t, err);
    if (st == HN_OK) {
        *history = json_pack("{s:s, s:O, s:{s:O, s:O, s:O}}", "goal", setup->scope->goal, "entries", t.entries,
                             "lessons", "helped", t.helped, "hurt", t.hurt, "undecided", t.open);
        if (!*history) st = hn_fail_memory(err, 0);
    }
    for (size_t i = 0; i < t.n; i++) {
        hn_flat_free(&t.told[i].prompt);
        hn_run_free(t.told[i].run);
    }
    hn_free(t.told);
    hn_note_list_free(&t.notes);
    json_decref(t.entries);
    json_decref(t.helped);
    json_decref(t.hurt);
    json_decref(t.open);
    return st;
}
