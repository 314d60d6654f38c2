/* judge: a model that grades each answer by a rubric. The value is the expected grade: the grades' values weighted by how probable the judge finds
 * each. How far it agrees with people stands beside it, or that nobody knows. */
#include "base/file.h"
#include "lifecycle/eval/grader_parts.h"
#include "lifecycle/eval/judge_human.h"
#include "lifecycle/eval/judge_model.h"
#include "lifecycle/eval/judge_rubric.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct judge {
    hn_judge_model *model; /* opened with the first question */
    hn_judge_rubric *rubric;
    const char **words; /* (n_words) as hone.yaml has them, worst first */
    double *values;     /* (n_words) */
    size_t n_words;
} judge;

static void close_judge(hn_grader *g) {
    judge *j = g->state;
    if (!j) return;
    hn_judge_model_close(j->model);
    hn_judge_rubric_free(j->rubric);
    hn_free(j->words);
    hn_free(j->values);
    hn_free(j);
}

static hn_status open_judge(hn_grader *g, hn_error *err) {
    json_t *grades = json_object_get(g->config->options, "grades"), *value;
    const char *word;
    char path[HN_PATH_MAX];
    judge *j = g->state = hn_calloc(1, sizeof *j);
    if (!j) return hn_fail_memory(err, sizeof *j);
    size_t n = json_object_size(grades);
    j->words = hn_calloc(n, sizeof *j->words);
    j->values = hn_calloc(n, sizeof *j->values);
    if (!j->words || !j->values) return hn_fail_memory(err, n * sizeof *j->words);
    json_object_foreach(grades, word, value) {
        j->words[j->n_words] = word;
        j->values[j->n_words++] = json_number_value(value);
    }
    if (!hn_grader_config_path(g->config, "rubric", path, sizeof path))
        return hn_fail(err, HN_ERR_LIMIT, g->config->place, NULL, "the path of the rubric is too long");
    return hn_judge_rubric_load(path, hn_grader_option(g, "rubric"), HN_RUBRIC_GRADE, j->words, n, &j->rubric, err);
}

typedef struct round {
    hn_grader *g;
    const hn_graded *items;
    hn_grade_keep *keep;
    void *user;
    size_t n, n_done;
} round_of;

static hn_status question(void *user, size_t i, hn_buf *text, hn_error *err) {
    round_of *r = user;
    const judge *j = r->g->state;
    return hn_judge_rubric_render(j->rubric, &r->items[i], hn_grader_answer(&r->items[i]), (hn_str){0}, text, err);
}

/* {"grade":"ok","probabilities":{"bad":0.1,...}} */
static void write_details(const judge *j, const hn_judgement *given, hn_buf *out) {
    if (!given->probabilities) {
        hn_buf_append_str(out, "{\"error\":");
        hn_json_write_string(given->reason, strlen(given->reason), false, out);
        hn_buf_append_char(out, '}');
        return;
    }
    hn_buf_append_str(out, "{\"grade\":");
    hn_json_write_string(j->words[given->best], strlen(j->words[given->best]), false, out);
    for (size_t i = 0; i < j->n_words; i++) {
        hn_buf_append_str(out, i ? "," : ",\"probabilities\":{");
        hn_json_write_string(j->words[i], strlen(j->words[i]), false, out);
        hn_buf_append_char(out, ':');
        hn_json_write_real(given->probabilities[i], out);
    }
    hn_buf_append_str(out, "}}");
}

static hn_status keep_grade(void *user, size_t i, const hn_judgement *given, hn_error *err) {
    round_of *r = user;
    const judge *j = r->g->state;
    hn_grade grade = {.value = given->probabilities ? 0 : (double)NAN, .failed = !given->probabilities};
    hn_buf_init(&grade.details, 1 << 20);
    for (size_t k = 0; given->probabilities && k < j->n_words; k++)
        grade.value += given->probabilities[k] * j->values[k];
    write_details(j, given, &grade.details);
    hn_status st = hn_buf_check(&grade.details, "a grade's details", err);
    if (st == HN_OK) st = r->keep(r->user, i, &grade, err);
    hn_grade_clear(&grade);
    r->n_done++;
    if (r->g->grading.on_progress) r->g->grading.on_progress(r->g->grading.user, r->g->config->name, r->n_done, r->n);
    return st;
}

static hn_status grade_all(hn_grader *g, const hn_graded *items, size_t n, hn_grade_keep *keep, void *user,
                           hn_error *err) {
    judge *j = g->state;
    round_of r = {g, items, keep, user, n, 0};
    if (!j->model)
        HN_TRY(hn_judge_model_open(&g->grading, hn_grader_option(g, "model"), g->config->place, &j->model, err));
    return hn_judge_model_ask(j->model, question, j->words, j->n_words, n, keep_grade, &r, err);
}

/* One case, for those who grade one. */
static hn_status take_one(void *user, size_t index, const hn_grade *grade, hn_error *err) {
    hn_grade *out = user;
    (void)index;
    out->value = grade->value;
    out->failed = grade->failed;
    hn_buf_append(&out->details, hn_buf_str(&grade->details), grade->details.len);
    return hn_buf_check(&out->details, "a grade's details", err);
}

static hn_status grade_one(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    return grade_all(g, item, 1, take_one, out, err);
}

/* The judge's word of each case, from the details that were kept with its value. */
static void read_words(const judge *j, const char *const *details, size_t n, int32_t *words) {
    for (size_t i = 0; i < n; i++) {
        json_t *value;
        words[i] = -1;
        if (!details[i] || hn_json_parse(details[i], strlen(details[i]), "details", 0, &value, NULL) != HN_OK) continue;
        const char *word = json_string_value(json_object_get(value, "grade"));
        for (size_t k = 0; word && k < j->n_words; k++)
            if (strcmp(j->words[k], word) == 0) words[i] = (int32_t)k;
        json_decref(value);
    }
}

static hn_status judge_remarks(hn_grader *g, const hn_graded *items, const double *values, const char *const *details,
                               const uint32_t *groups, size_t n, json_t **remarks, hn_error *err) {
    const judge *j = g->state;
    char path[HN_PATH_MAX];
    int32_t *human = hn_alloc((n ? n : 1) * 2 * sizeof *human);
    if (!human) return hn_fail_memory(err, n * 2 * sizeof *human);
    hn_status st = HN_OK;
    for (size_t i = 0; i < n; i++) human[i] = -1;
    if (hn_grader_config_path(g->config, "human", path, sizeof path))
        st = hn_judge_human_load(path, hn_grader_option(g, "human_case"), hn_grader_option(g, "human_grade"), j->words,
                                 j->n_words, items, n, human, err);
    read_words(j, details, n, human + n);
    hn_judge_human_data data = {human, human + n, values, j->values, groups, n, j->n_words};
    if (st == HN_OK) st = hn_judge_human_compare(&data, remarks, err);
    hn_free(human);
    return st;
}

const hn_grader_kind hn_grader_judge = {"judge",
                                        .open = open_judge,
                                        .grade = grade_one,
                                        .grade_all = grade_all,
                                        .remarks = judge_remarks,
                                        .close = close_judge,
                                        .range = 1};
