/* Graders' results as a run's summary keeps them; see grade_run.h. */
#include "lifecycle/eval/grade_run.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double number_of(const json_t *line, const char *key) {
    const json_t *value = json_object_get(line, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const char *text_of(const json_t *line, const char *key) {
    const char *text = json_string_value(json_object_get(line, key));
    return text ? text : "";
}

static size_t count_of(const json_t *line, const char *key) {
    json_int_t value = json_integer_value(json_object_get(line, key));
    return value > 0 ? (size_t)value : 0;
}

static hn_grade_line read_line(const json_t *line) {
    return (hn_grade_line){
        .name = text_of(line, "name"),
        .kind = text_of(line, "kind"),
        .mean = {number_of(line, "value"), number_of(line, "low"), number_of(line, "high")},
        .n = count_of(line, "n"),
        .n_missing = count_of(line, "missing"),
        .n_failed = count_of(line, "failed"),
        .corpus = number_of(line, "corpus"),
        .corpus_name = json_string_value(json_object_get(line, "corpus_name")),
        .traits = {json_is_true(json_object_get(line, "lower_is_better")), number_of(line, "range"),
                   text_of(line, "unit"), json_string_value(json_object_get(line, "corpus_name")),
                   json_is_true(json_object_get(line, "geometric"))},
        .json = line,
    };
}

hn_status hn_grade_lines_read(const char *summary_json, hn_grade_lines *out, hn_error *err) {
    json_t *summary;
    *out = (hn_grade_lines){0};
    if (!summary_json) return HN_OK;
    HN_TRY(hn_json_parse(summary_json, strlen(summary_json), "run summary", 0, &summary, err));
    out->json = json_incref(json_object_get(summary, "graders"));
    json_decref(summary);
    size_t n = json_array_size(out->json);
    if (n == 0) return HN_OK;
    out->lines = hn_calloc(n, sizeof *out->lines);
    if (!out->lines) {
        hn_grade_lines_free(out);
        return hn_fail_memory(err, n * sizeof *out->lines);
    }
    for (size_t i = 0; i < n; i++) out->lines[i] = read_line(json_array_get(out->json, i));
    out->n = n;
    return HN_OK;
}

void hn_grade_lines_free(hn_grade_lines *lines) {
    hn_free(lines->lines);
    json_decref(lines->json);
    *lines = (hn_grade_lines){0};
}

const hn_grade_line *hn_grade_lines_find(const hn_grade_lines *lines, const char *name) {
    for (size_t i = 0; i < lines->n; i++)
        if (strcmp(lines->lines[i].name, name) == 0) return &lines->lines[i];
    return NULL;
}

/* As many digits as its size asks for: 0.000031, 0.713, 27.57, 183. */
static int digits_for(double value) {
    double size = fabs(value);
    return size > 0 && size < 0.01 ? 6 : size < 10 ? 3 : size < 100 ? 2 : size < 1000 ? 1 : 0;
}

char *hn_grade_text(const hn_grade_line *line, char out[80]) {
    hn_estimate e = line->mean;
    int d = digits_for(fmax(fabs(e.value), fabs(e.high)));
    const char *unit = line->traits.unit ? line->traits.unit : "", *space = *unit ? " " : "";
    if (!isfinite(e.value))
        snprintf(out, 80, "-");
    else if (!isfinite(e.low) || !isfinite(e.high))
        snprintf(out, 80, "%.*f%s%s", d, e.value, space, unit);
    else
        snprintf(out, 80, "%.*f%s%s [%.*f, %.*f]", d, e.value, space, unit, d, e.low, d, e.high);
    return out;
}
