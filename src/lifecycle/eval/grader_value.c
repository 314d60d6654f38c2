/* Graders that read the answer as a value: json, numeric, choice, tool_call. */
#include "app/answer_parse.h"
#include "base/file.h"
#include "format/json_schema.h"
#include "format/json_schema_value.h"
#include "lifecycle/eval/grade.h"
#include "lifecycle/eval/grader_parts.h"
#include "model/tool_calls.h"

#include <math.h>
#include <string.h>

/* ---- json ---- */

/* Without a fence of three backticks (and the word behind the first) around it. */
static hn_str without_fence(hn_str s) {
    s = hn_str_trim(s);
    if (s.len < 6 || memcmp(s.data, "```", 3) != 0 || memcmp(s.data + s.len - 3, "```", 3) != 0) return s;
    const char *line = memchr(s.data, '\n', s.len);
    size_t skip = line ? (size_t)(line - s.data) : 3;
    return skip + 3 <= s.len ? hn_str_trim((hn_str){s.data + skip, s.len - 3 - skip}) : s;
}

/* The text as JSON; NULL where it is none. HN_ERR_MEMORY only. */
static hn_status read_json(hn_str text, json_t **value, hn_error *err) {
    *value = NULL;
    text = without_fence(text);
    hn_status st = hn_json_parse(text.data ? text.data : "", text.len, "text", HN_JSON_ANY | HN_JSON_NUL, value, NULL);
    return st == HN_ERR_MEMORY ? hn_fail_memory(err, text.len) : HN_OK;
}

static bool json_within(const json_t *wanted, const json_t *given);

/* Each wanted item in an item of its own. */
static bool items_within(const json_t *wanted, const json_t *given) {
    size_t n = json_array_size(given);
    unsigned char *used = hn_calloc(n ? n : 1, 1);
    bool within = used && json_array_size(wanted) <= n;
    for (size_t i = 0; within && i < json_array_size(wanted); i++) {
        size_t k = 0;
        while (k < n && (used[k] || !json_within(json_array_get(wanted, i), json_array_get(given, k)))) k++;
        within = k < n;
        if (within) used[k] = 1;
    }
    hn_free(used);
    return within;
}

/* Whether all that is wanted is in what is given: objects may have more properties, lists more items. */
static bool json_within(const json_t *wanted, const json_t *given) {
    const char *key;
    json_t *value;
    if (json_is_array(wanted) && json_is_array(given)) return items_within(wanted, given);
    if (!json_is_object(wanted) || !json_is_object(given)) return hn_json_values_equal(wanted, given);
    json_object_foreach((json_t *)(uintptr_t)wanted, key, value) {
        const json_t *other = json_object_get(given, key);
        if (!other || !json_within(value, other)) return false;
    }
    return true;
}

static hn_status open_json(hn_grader *g, hn_error *err) {
    char path[HN_PATH_MAX];
    json_t *schema;
    hn_json_schema *compiled = NULL;
    if (!hn_grader_is(g, "match", "schema") || !hn_grader_config_path(g->config, "schema", path, sizeof path))
        return HN_OK;
    HN_TRY(hn_json_read(path, 1 << 20, HN_JSON_ANY, &schema, err));
    hn_status st = hn_json_schema_create(schema, &(hn_json_schema_options){.assert_formats = true}, &compiled, err);
    json_decref(schema);
    if (st != HN_OK) hn_error_prefix(err, hn_grader_option(g, "schema"));
    g->state = compiled;
    return st;
}

static void close_json(hn_grader *g) { hn_json_schema_free(g->state); }

static hn_status grade_schema(hn_grader *g, const json_t *given, hn_grade *out, hn_error *err) {
    hn_json_schema_result result;
    HN_TRY(hn_json_schema_validate(g->state, given, &result, err));
    out->value = result.valid;
    if (result.valid) return HN_OK;
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_json_schema_error_text(&result.errors[0], &text);
    hn_buf_append_str(&out->details, "{\"problem\":");
    hn_json_write_string(hn_buf_str(&text), text.len, false, &out->details);
    hn_buf_append_char(&out->details, '}');
    hn_buf_free(&text);
    return hn_buf_check(&out->details, "a grade's details", err);
}

static hn_status grade_json(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    json_t *given, *wanted = NULL;
    bool needs_target = hn_grader_is(g, "match", "exact") || hn_grader_is(g, "match", "subset");
    if (needs_target && !item->row->target) return HN_OK;
    HN_TRY(read_json(hn_grader_answer(item), &given, err));
    hn_status st = HN_OK;
    out->value = 0;
    if (needs_target) {
        st = read_json(hn_str_of(item->row->target), &wanted, err);
        if (st == HN_OK && !wanted)
            st = hn_grader_fail(g, item, "write the targets as JSON", err, "the target is no JSON: %.80s",
                                item->row->target);
    }
    if (st == HN_OK && given && g->state)
        st = grade_schema(g, given, out, err);
    else if (st == HN_OK && given)
        out->value = !needs_target                        ? 1
                     : hn_grader_is(g, "match", "subset") ? json_within(wanted, given)
                                                          : hn_json_values_equal(wanted, given);
    json_decref(given);
    json_decref(wanted);
    return st;
}

const hn_grader_kind hn_grader_json = {"json", .open = open_json, .grade = grade_json, .close = close_json, .range = 1};

/* ---- numeric, choice: through the parser that reads answers everywhere ---- */

typedef struct reader {
    hn_contract contract;
    hn_answer_parser *parser;
    char **labels; /* of the options; their texts belong to the options */
} reader;

static void close_reader(hn_grader *g) {
    reader *r = g->state;
    if (!r) return;
    hn_answer_parser_free(r->parser);
    hn_free(r->labels);
    hn_free(r);
}

static hn_status open_numeric(hn_grader *g, hn_error *err) {
    reader *r = g->state = hn_calloc(1, sizeof *r);
    if (!r) return hn_fail_memory(err, sizeof *r);
    r->contract = (hn_contract){.kind = HN_CONTRACT_NUMBER, .low = -INFINITY, .high = INFINITY};
    return hn_answer_parser_create(&r->contract, NULL, &r->parser, err);
}

static hn_status grade_numeric(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    reader *r = g->state;
    hn_str answer = hn_grader_answer(item);
    hn_parsed parsed;
    double wanted, tolerance = hn_grader_number(g, "tolerance");
    if (!hn_grade_read_number(item->row->target, &wanted))
        return hn_grader_fail(g, item, "write the targets as numbers", err, "the target is no number: %.80s",
                              item->row->target);
    HN_TRY(hn_answer_parse(r->parser, answer.data ? answer.data : "", answer.len, &parsed, err));
    double scale = fmax(1, fabs(wanted)),
           allowed = hn_grader_flag(g, "relative") ? tolerance * fabs(wanted) : tolerance;
    /* What is written to 9 digits is the same number; the last bit of a decimal must not decide at the tolerance's edge. */
    out->value = parsed.valid && fabs(parsed.number - wanted) <= allowed + 1e-9 * scale;
    hn_parsed_free(&parsed);
    return HN_OK;
}

const hn_grader_kind hn_grader_numeric = {
    "numeric", .open = open_numeric, .grade = grade_numeric, .close = close_reader, .range = 1, .needs_target = true};

static hn_status open_choice(hn_grader *g, hn_error *err) {
    const json_t *labels = json_object_get(g->config->options, "labels");
    const hn_contract *own = &g->grading.scope->contract;
    size_t n = json_array_size(labels);
    reader *r = g->state = hn_calloc(1, sizeof *r);
    if (!r) return hn_fail_memory(err, sizeof *r);
    if (!n && own->kind != HN_CONTRACT_CHOICE)
        return hn_fail(err, HN_ERR_INPUT, g->config->place, "such as choice: [yes, no, unsure]",
                       "grader %s: `output` is no choice, so its labels must be named here", g->config->name);
    r->contract = (hn_contract){.kind = HN_CONTRACT_CHOICE, .labels = own->labels, .n_labels = own->n_labels};
    if (n) {
        r->labels = hn_calloc(n, sizeof *r->labels);
        if (!r->labels) return hn_fail_memory(err, n * sizeof *r->labels);
        for (size_t i = 0; i < n; i++) r->labels[i] = (char *)(uintptr_t)json_string_value(json_array_get(labels, i));
        r->contract.labels = r->labels;
        r->contract.n_labels = n;
    }
    return hn_answer_parser_create(&r->contract, NULL, &r->parser, err);
}

static hn_status grade_choice(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    reader *r = g->state;
    hn_str answer = hn_grader_answer(item);
    hn_parsed parsed;
    HN_TRY(hn_answer_parse(r->parser, answer.data ? answer.data : "", answer.len, &parsed, err));
    out->value = parsed.valid && hn_str_equal(hn_str_of(parsed.text), hn_str_trim(hn_str_of(item->row->target)));
    hn_parsed_free(&parsed);
    return HN_OK;
}

const hn_grader_kind hn_grader_choice = {"choice",   .open = open_choice, .grade = grade_choice, .close = close_reader,
                                         .range = 1, .needs_target = true};

/* ---- tool_call ---- */

/* {"name", "arguments": {}} of a call in one of its forms: bare, or inside "function" with the arguments as text. New reference; NULL: it is
 * no call. */
static json_t *plain_call(const json_t *call) {
    const json_t *inner = json_object_get(call, "function");
    const json_t *f = json_is_object(inner) ? inner : call;
    const char *name = json_string_value(json_object_get(f, "name"));
    json_t *arguments = json_object_get(f, "arguments"), *read = NULL;
    if (!arguments) arguments = json_object_get(f, "parameters");
    if (!name) return NULL;
    if (json_is_string(arguments)) {
        if (hn_json_parse(json_string_value(arguments), json_string_length(arguments), "arguments", HN_JSON_ANY, &read,
                          NULL) != HN_OK)
            return NULL;
    } else {
        read = arguments ? json_incref(arguments) : json_object();
    }
    return json_pack("{s:s, s:o}", "name", name, "arguments", read);
}

/* A call, a list of calls, or nothing ("", [], null) into an array of plain calls; NULL: the value is something else. */
static json_t *plain_calls(const json_t *value) {
    json_t *calls = json_array();
    size_t n = json_is_array(value) ? json_array_size(value) : !value || json_is_null(value) ? 0 : 1;
    for (size_t i = 0; calls && i < n; i++) {
        json_t *call = plain_call(json_is_array(value) ? json_array_get(value, i) : value);
        if (!call || json_array_append_new(calls, call) != 0) {
            json_decref(calls);
            return NULL;
        }
    }
    return calls;
}

/* The calls that an answer holds: in its details, as JSON, or in the notation of any family of templates. */
static hn_status calls_of_answer(const hn_graded *item, json_t **calls, hn_error *err) {
    hn_str text = hn_grader_answer(item);
    json_t *value = NULL, *found = NULL;
    const char *details = item->row->details_json;
    *calls = NULL;
    if (details && hn_json_parse(details, strlen(details), "details", 0, &value, NULL) == HN_OK) {
        found = json_incref(json_object_get(value, "tool_calls"));
        json_decref(value);
        value = NULL;
    }
    if (!found) HN_TRY(read_json(text, &found, err));
    for (int f = HN_TOOL_FORMAT_HERMES; !found && f <= HN_TOOL_FORMAT_DEEPSEEK; f++) {
        size_t before;
        HN_TRY(hn_tool_calls_parse((hn_tool_format)f, text.data ? text.data : "", text.len, &found, &before, err));
    }
    *calls = plain_calls(json_is_object(found) || json_is_array(found) ? found : NULL);
    if (!*calls) *calls = json_array(); /* JSON that is no call: the answer calls nothing */
    json_decref(found);
    return *calls ? HN_OK : hn_fail_memory(err, 0);
}

static bool same_call(const hn_grader *g, const json_t *wanted, const json_t *given) {
    const json_t *a = json_object_get(wanted, "arguments"), *b = json_object_get(given, "arguments");
    if (strcmp(json_string_value(json_object_get(wanted, "name")), json_string_value(json_object_get(given, "name"))))
        return false;
    if (hn_grader_is(g, "match", "name")) return true;
    return hn_grader_is(g, "match", "subset") ? json_within(a, b) : hn_json_values_equal(a, b);
}

static bool same_calls(const hn_grader *g, const json_t *wanted, json_t *given) {
    size_t n = json_array_size(wanted);
    if (json_array_size(given) != n) return false;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0, last = hn_grader_flag(g, "ordered") ? 1 : json_array_size(given);
        while (k < last && !same_call(g, json_array_get(wanted, i), json_array_get(given, k))) k++;
        if (k == last) return false;
        json_array_remove(given, k); /* each call answers for one */
    }
    return true;
}

static hn_status grade_calls(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    hn_str target = hn_str_trim(hn_str_of(item->row->target));
    json_t *read = NULL, *wanted, *given = NULL;
    HN_TRY(read_json(target, &read, err));
    wanted = read || target.len == 0 ? plain_calls(read) : NULL;
    json_decref(read);
    if (!wanted)
        return hn_grader_fail(g, item, "write the targets as {\"name\": \"f\", \"arguments\": {}}, or a list of such",
                              err, "the target is no call: %.80s", item->row->target);
    hn_status st = calls_of_answer(item, &given, err);
    if (st == HN_OK) out->value = same_calls(g, wanted, given);
    json_decref(wanted);
    json_decref(given);
    return st;
}

const hn_grader_kind hn_grader_tool_call = {"tool_call", .grade = grade_calls, .range = 1, .needs_target = true};
