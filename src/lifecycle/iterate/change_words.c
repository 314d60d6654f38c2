/* Changes in a few words; see change_words.h. Settings that belong together (examples, wordings) make one phrase; messages are counted by words. */
#include "lifecycle/iterate/change_words.h"

#include "base/str.h"
#include "lifecycle/iterate/run_diff.h"
#include "text/sequence_diff.h"

#include <stdio.h>
#include <string.h>

enum { SETTING_SIZE = 10, PHRASE_BYTES = 320 };

/* ---- counting words ---- */

static size_t count_words(const char *text, size_t n) {
    size_t words = 0;
    bool in = false;
    for (size_t i = 0; i < n; i++) {
        bool blank = text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r';
        words += !blank && !in;
        in = !blank;
    }
    return words;
}

typedef struct word_change {
    size_t removed, added;
} word_change;

static hn_status change_of(const char *a, const char *b, word_change *out, hn_error *err) {
    hn_diff_runs runs;
    *out = (word_change){0};
    HN_TRY(hn_diff_words(a ? a : "", b ? b : "", &runs, err));
    for (size_t i = 0; i < runs.n; i++) {
        const hn_diff_run *r = &runs.rows[i];
        if (r->kind == HN_DIFF_REMOVED) out->removed += count_words(a + r->a, r->n);
        if (r->kind == HN_DIFF_ADDED) out->added += count_words(b + r->b, r->n);
    }
    hn_free(runs.rows);
    return HN_OK;
}

static bool is_message(const char *path) {
    return strstr(path, " message") != NULL || hn_starts_with(path, "messages[");
}

static hn_status add_size(void *user, const char *path, const char *a, const char *b, hn_error *err) {
    size_t *size = user;
    word_change c;
    if (!is_message(path)) {
        *size += SETTING_SIZE;
        return HN_OK;
    }
    HN_TRY(change_of(a, b, &c, err));
    *size += c.removed + c.added + 1;
    return HN_OK;
}

hn_status hn_change_size(const hn_flat *a, const hn_flat *b, size_t *size, hn_error *err) {
    *size = 0;
    return hn_flat_compare(a, b, add_size, size, err);
}

/* ---- phrases ---- */

typedef struct speaker {
    json_t *words;
    const hn_flat *a, *b;
    size_t n_wordings;
    bool examples_said;
    bool messages; /* this time round: messages, which say least and come last; else settings */
} speaker;

static hn_status say(speaker *s, hn_error *err, const char *fmt, ...) HN_PRINTF(3, 4);
static hn_status say(speaker *s, hn_error *err, const char *fmt, ...) {
    char text[PHRASE_BYTES];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0) return hn_fail_memory(err, sizeof text);
    /* a cut in the middle of a character is shown as U+FFFD when it is written */
    return json_array_append_new(s->words, json_stringn_nocheck(text, strlen(text))) == 0 ? HN_OK
                                                                                          : hn_fail_memory(err, 0);
}

static hn_status say_message(speaker *s, const char *path, const char *a, const char *b, hn_error *err) {
    word_change c;
    HN_TRY(change_of(a, b, &c, err));
    if (!a) return say(s, err, "%.60s added (%zu words)", path, c.added);
    if (!b) return say(s, err, "%.60s taken out (%zu words)", path, c.removed);
    if (c.removed == 0 && c.added > 0) return say(s, err, "%.60s longer by %zu words", path, c.added);
    if (c.added == 0 && c.removed > 0) return say(s, err, "%.60s shorter by %zu words", path, c.removed);
    if (c.added == 0) return say(s, err, "%.60s laid out otherwise", path);
    return say(s, err, "%.60s reworded (%zu words out, %zu in)", path, c.removed, c.added);
}

static const char *or_none(const char *text) { return text && *text ? text : "none"; }

static hn_status say_examples(speaker *s, hn_error *err) {
    const char *pick_a = hn_flat_find(s->a, "examples.pick"), *pick_b = hn_flat_find(s->b, "examples.pick");
    const char *n_a = hn_flat_find(s->a, "examples.n"), *n_b = hn_flat_find(s->b, "examples.n");
    if (s->examples_said) return HN_OK;
    s->examples_said = true;
    if (!pick_a && pick_b && !n_b) return say(s, err, "%.40s examples added", pick_b);
    if (!pick_a && pick_b) return say(s, err, "%.10s %.40s examples added", n_b, pick_b);
    if (pick_a && !pick_b) return say(s, err, "%.40s examples taken out", pick_a);
    if (pick_a && pick_b && strcmp(pick_a, pick_b) != 0)
        return say(s, err, "%.40s examples instead of %.40s", pick_b, pick_a);
    if (n_a && n_b && strcmp(n_a, n_b) != 0) return say(s, err, "%.10s examples instead of %.10s", n_b, n_a);
    return say(s, err, "other examples");
}

static hn_status say_setting(speaker *s, const char *path, const char *a, const char *b, hn_error *err) {
    if (strcmp(path, "calibrate") == 0 && b && strcmp(b, "prior") == 0) return say(s, err, "prior correction added");
    if (strcmp(path, "calibrate") == 0 && a && strcmp(a, "prior") == 0 && (!b || strcmp(b, "none") == 0))
        return say(s, err, "prior correction taken out");
    if (strcmp(path, "template") == 0 && b && strcmp(b, "raw") == 0) return say(s, err, "plain text instead of chat");
    if (strcmp(path, "template") == 0) return say(s, err, "chat instead of plain text");
    if (strcmp(path, "answer") == 0 && b && strcmp(b, "generate") == 0)
        return say(s, err, "writes its answer instead of scoring labels");
    if (strcmp(path, "answer") == 0 && a) return say(s, err, "scores labels instead of writing");
    if (strcmp(path, "reasoning.max_tokens") == 0 && !a) return say(s, err, "thinks first (%.10s tokens)", b);
    if (strcmp(path, "reasoning.max_tokens") == 0 && !b) return say(s, err, "no thinking first");
    const char *name = hn_starts_with(path, "parameters.") ? path + strlen("parameters.") : path;
    return say(s, err, "%.60s %.80s -> %.80s", name, or_none(a), or_none(b));
}

static hn_status visit(void *user, const char *path, const char *a, const char *b, hn_error *err) {
    speaker *s = user;
    if (is_message(path) != s->messages) return HN_OK;
    if (s->messages) return say_message(s, path, a, b, err);
    if (hn_starts_with(path, "examples")) return say_examples(s, err);
    if (hn_starts_with(path, "labels.")) {
        s->n_wordings++;
        return HN_OK;
    }
    return say_setting(s, path, a, b, err);
}

static hn_status visit_set(void *user, const char *path, const char *a, const char *b, hn_error *err) {
    speaker *s = user;
    if (!hn_starts_with(path, "set.")) return HN_OK;
    return say(s, err, "%.60s %.80s -> %.80s", path + 4, or_none(a), or_none(b));
}

static bool same(const char *a, const char *b) { return strcmp(a ? a : "", b ? b : "") == 0; }

static hn_status say_model(speaker *s, const hn_run_spec *a, const hn_run_spec *b, hn_error *err) {
    if (!same(a->model_name, b->model_name))
        return say(s, err, "model %.100s instead of %.100s", or_none(b->model_name), or_none(a->model_name));
    if (!same(a->model_hash, b->model_hash))
        return say(s, err, "other weights under the name %.100s", or_none(b->model_name));
    if (!same(a->template_hash, b->template_hash)) return say(s, err, "another chat template");
    return HN_OK;
}

/* What was given on the command line (--set) stands in the parameters. */
static hn_status say_set(speaker *s, const hn_run *a, const hn_run *b, hn_error *err) {
    hn_flat x, y = {0};
    HN_TRY(hn_flat_json("parameters", a->spec.parameters_json, &x, err));
    hn_status st = hn_flat_json("parameters", b->spec.parameters_json, &y, err);
    if (st == HN_OK) st = hn_flat_compare(&x, &y, visit_set, s, err);
    hn_flat_free(&x);
    hn_flat_free(&y);
    return st;
}

static hn_status speak(hn_store *store, const hn_run *a, const hn_run *b, speaker *s, hn_error *err) {
    hn_flat x, y = {0};
    HN_TRY(say_model(s, &a->spec, &b->spec, err));
    HN_TRY(hn_run_prompt_flat(store, a, &x, err));
    hn_status st = hn_run_prompt_flat(store, b, &y, err);
    s->a = &x;
    s->b = &y;
    if (st == HN_OK) st = hn_flat_compare(&x, &y, visit, s, err);
    if (st == HN_OK && s->n_wordings)
        st = say(s, err, "wordings of %zu label%s", s->n_wordings, s->n_wordings == 1 ? "" : "s");
    if (st == HN_OK) st = say_set(s, a, b, err);
    s->messages = true;
    if (st == HN_OK) st = hn_flat_compare(&x, &y, visit, s, err);
    hn_flat_free(&x);
    hn_flat_free(&y);
    return st;
}

hn_status hn_change_words(hn_store *store, const hn_run *a, const hn_run *b, json_t **words, hn_error *err) {
    speaker s = {.words = json_array()};
    *words = NULL;
    hn_status st = s.words ? speak(store, a, b, &s, err) : hn_fail_memory(err, 0);
    if (st == HN_OK)
        *words = s.words;
    else
        json_decref(s.words);
    return st;
}
