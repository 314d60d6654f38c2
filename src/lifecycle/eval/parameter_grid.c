/* Grids of parameters; see parameter_grid.h. The ranges are those of prompt files (project/prompt_load.c). */
#include "lifecycle/eval/parameter_grid.h"

#include "base/hash.h"
#include "base/str.h"

#include <limits.h>
#include <math.h>
#include <string.h>

typedef enum parameter_id {
    TEMPERATURE,
    TOP_K,
    TOP_P,
    MIN_P,
    REPETITION_PENALTY,
    SEED,
    MAX_TOKENS,
    EXAMPLES,
    REASONING
} parameter_id;

typedef struct parameter {
    const char *name;
    bool whole;
    double low, high;
} parameter;

static const parameter parameters[] = {
    [TEMPERATURE] = {"temperature", false, 0, 10},
    [TOP_K] = {"top_k", true, 0, INT_MAX},
    [TOP_P] = {"top_p", false, 0, 1},
    [MIN_P] = {"min_p", false, 0, 1},
    [REPETITION_PENALTY] = {"repetition_penalty", false, 0.1, 10},
    [SEED] = {"seed", true, 0, 9007199254740992.0},
    [MAX_TOKENS] = {"max_tokens", true, 1, 32768},
    [EXAMPLES] = {"examples", true, 1, 1000},
    [REASONING] = {"reasoning", true, 0, 32768},
};
enum { N_PARAMETERS = sizeof parameters / sizeof *parameters };

/* ---- parsing ---- */

static hn_status find_parameter(const char *name, const char *text, size_t *index, hn_error *err) {
    const char *names[N_PARAMETERS];
    for (size_t i = 0; i < N_PARAMETERS; i++) {
        names[i] = parameters[i].name;
        *index = i;
        if (strcmp(name, names[i]) == 0) return HN_OK;
    }
    const char *near = hn_closest(name, names, N_PARAMETERS);
    char hint[200];
    snprintf(
        hint, sizeof hint,
        "%s%s%sthere are temperature, top_k, top_p, min_p, repetition_penalty, seed, max_tokens, examples, reasoning",
        near ? "did you mean " : "", near ? near : "", near ? "? " : "");
    return hn_fail(err, HN_ERR_USAGE, text, hint, "there is no parameter `%.60s`", name);
}

static hn_status parse_value(const parameter *p, const char *value, const char *text, double *out, hn_error *err) {
    char hint[120];
    snprintf(hint, sizeof hint, "give %s from %g to %g", p->whole ? "a whole number" : "a number", p->low, p->high);
    if (!hn_parse_double(value, out) || *out < p->low || *out > p->high || (p->whole && *out != floor(*out)))
        return hn_fail(err, HN_ERR_USAGE, text, hint, "`%.60s` is no value for %s", value, p->name);
    return HN_OK;
}

static hn_status parse_values(char *list, const char *text, hn_grid_axis *axis, hn_error *err) {
    for (char *at = list; at;) {
        char *comma = strchr(at, ',');
        if (comma) *comma = 0;
        if (axis->n == HN_GRID_VALUES_MAX)
            return hn_fail(err, HN_ERR_LIMIT, text, "name fewer", "more than %d values", HN_GRID_VALUES_MAX);
        double value;
        HN_TRY(parse_value(&parameters[axis->parameter], at, text, &value, err));
        bool again = false;
        for (size_t i = 0; i < axis->n; i++) again = again || axis->values[i] == value;
        if (!again) axis->values[axis->n++] = value;
        at = comma ? comma + 1 : NULL;
    }
    return HN_OK;
}

static hn_status parse_axis(const char *text, hn_grid *grid, hn_error *err) {
    hn_grid_axis *axis = &grid->axes[grid->n_axes];
    char *copy = hn_strdup(text), *equals = copy ? strchr(copy, '=') : NULL;
    if (!copy) return hn_fail_memory(err, strlen(text));
    hn_status st = HN_OK;
    if (!equals)
        st =
            hn_fail(err, HN_ERR_USAGE, text, "such as -p temperature=0,0.7", "a parameter needs NAME=VALUE[,VALUE...]");
    else
        *equals = 0;
    if (st == HN_OK) st = find_parameter(copy, text, &axis->parameter, err);
    for (size_t i = 0; st == HN_OK && i < grid->n_axes; i++)
        if (grid->axes[i].parameter == axis->parameter)
            st = hn_fail(err, HN_ERR_USAGE, text, "name its values once, with commas between them",
                         "`%s` is given twice", copy);
    if (st == HN_OK) st = parse_values(equals + 1, text, axis, err);
    hn_free(copy);
    if (st != HN_OK) return st;
    grid->n_axes++;
    grid->n_points *= axis->n;
    if (grid->n_points > HN_GRID_POINTS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, text, "name fewer values", "the parameters have more than %d combinations",
                       HN_GRID_POINTS_MAX);
    return HN_OK;
}

hn_status hn_grid_parse(const char *const *texts, size_t n, hn_grid *grid, hn_error *err) {
    *grid = (hn_grid){.n_points = 1};
    if (n == 0) return HN_OK;
    if (n > HN_GRID_AXES_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "-p", "name fewer", "more than %d parameters", HN_GRID_AXES_MAX);
    grid->axes = hn_calloc(n, sizeof *grid->axes);
    hn_status st = grid->axes ? HN_OK : hn_fail_memory(err, n * sizeof *grid->axes);
    for (size_t i = 0; st == HN_OK && i < n; i++) st = parse_axis(texts[i], grid, err);
    if (st != HN_OK) hn_grid_free(grid);
    return st;
}

void hn_grid_free(hn_grid *grid) {
    hn_free(grid->axes);
    *grid = (hn_grid){0};
}

/* ---- setting ---- */

const char *hn_grid_name(const hn_grid_axis *axis) { return parameters[axis->parameter].name; }

bool hn_grid_matters(const hn_grid_axis *axis, const hn_prompt *p) {
    bool writes = p->answer == HN_ANSWER_GENERATE;
    switch ((parameter_id)axis->parameter) {
    case MAX_TOKENS: return writes;
    case EXAMPLES: return p->pick != HN_PICK_NONE && p->pick != HN_PICK_FIXED;
    case REASONING: return true;
    case TEMPERATURE:
    case TOP_K:
    case TOP_P:
    case MIN_P:
    case REPETITION_PENALTY:
    case SEED: return writes || p->reasoning_max_tokens > 0;
    }
    return false;
}

static double get(const hn_prompt *p, parameter_id id) {
    switch (id) {
    case TEMPERATURE: return p->temperature;
    case TOP_K: return p->top_k;
    case TOP_P: return p->top_p;
    case MIN_P: return p->min_p;
    case REPETITION_PENALTY: return p->repetition_penalty;
    case SEED: return (double)p->seed;
    case MAX_TOKENS: return p->max_tokens;
    case EXAMPLES: return p->n_examples;
    case REASONING: return p->reasoning_max_tokens;
    }
    return 0;
}

static void put(hn_prompt *p, parameter_id id, double value) {
    switch (id) {
    case TEMPERATURE: p->temperature = value; break;
    case TOP_K: p->top_k = (int)value; break;
    case TOP_P: p->top_p = value; break;
    case MIN_P: p->min_p = value; break;
    case REPETITION_PENALTY: p->repetition_penalty = value; break;
    case SEED: p->seed = (uint64_t)value; break;
    case MAX_TOKENS: p->max_tokens = (int)value; break;
    case EXAMPLES: p->n_examples = (int)value; break;
    case REASONING: p->reasoning_max_tokens = (int)value; break;
    }
}

static double value_at(const hn_grid *grid, size_t point, size_t axis) {
    for (size_t i = grid->n_axes; --i > axis;) point /= grid->axes[i].n;
    return grid->axes[axis].values[point % grid->axes[axis].n];
}

/* The prompt means something else now, so what is kept by its hash (a correction, say) must not be taken for it. */
static hn_status mark_hash(const json_t *set, hn_prompt *prompt, hn_error *err) {
    hn_buf text;
    if (json_object_size(set) == 0) return HN_OK;
    hn_buf_init(&text, 0);
    hn_json_write(set, &(hn_json_style){.sort_keys = true}, &text);
    hn_status st = hn_buf_check(&text, "the parameters", err);
    hn_sha256 *h = st == HN_OK ? hn_sha256_create() : NULL;
    if (st == HN_OK && !h) st = hn_fail_memory(err, 64);
    if (h) {
        hn_sha256_field_str(h, prompt->hash);
        hn_sha256_field_str(h, hn_buf_str(&text));
        hn_sha256_finish(h, prompt->hash);
    }
    hn_buf_free(&text);
    return st;
}

hn_status hn_grid_apply(const hn_grid *grid, size_t point, hn_prompt *prompt, json_t **set, hn_error *err) {
    json_t *made = json_object();
    bool fine = made != NULL;
    /* what decides whether the others matter goes first */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; fine && i < grid->n_axes; i++) {
            const hn_grid_axis *axis = &grid->axes[i];
            parameter_id id = (parameter_id)axis->parameter;
            double value = value_at(grid, point, i);
            if ((id == REASONING) != (pass == 0)) continue;
            if (!hn_grid_matters(axis, prompt) || get(prompt, id) == value) continue;
            put(prompt, id, value);
            const parameter *p = &parameters[id];
            fine =
                json_object_set_new(made, p->name, p->whole ? json_integer((json_int_t)value) : json_real(value)) == 0;
        }
    }
    hn_status st = fine ? mark_hash(made, prompt, err) : hn_fail_memory(err, 0);
    if (st != HN_OK) {
        json_decref(made);
        return st;
    }
    *set = made;
    return HN_OK;
}

hn_status hn_grid_text(const json_t *set, hn_buf *out, hn_error *err) {
    const char *key;
    json_t *value;
    bool first = true;
    json_object_foreach((json_t *)(uintptr_t)set, key, value) {
        hn_buf_appendf(out, "%s%s %.6g", first ? "" : ", ", key, json_number_value(value));
        first = false;
    }
    return hn_buf_check(out, "the parameters' names", err);
}
