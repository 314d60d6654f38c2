/* Graders of the user's own: `lua` (a script in a closed child process) and `program` (any program that speaks JSON lines). Both get a case a line and
 * answer with a number, true or false, null, or an object with "value" and remarks. The child is started with the first case and kept. A case
 * that it fails on ends the grading, or (`on_error: skip`) is left out and the child started anew. */
#include "base/file.h"
#include "base/line_child.h"
#include "lifecycle/eval/grader_lua.h"
#include "lifecycle/eval/grader_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCRIPT_BYTES_MAX = 1 << 20, FAILURES_MAX = 20, GRACE_MS = 1000 };

typedef struct own_grader {
    hn_line_child *child;
    char *script;      /* lua: its text */
    const char **argv; /* program */
    hn_lua_script lua;
    size_t n_failures; /* in a row */
} own_grader;

static void close_own(hn_grader *g) {
    own_grader *o = g->state;
    if (!o) return;
    hn_line_child_close(o->child);
    hn_free(o->script);
    hn_free(o->argv);
    hn_free(o);
}

static hn_status open_lua(hn_grader *g, hn_error *err) {
    char path[HN_PATH_MAX];
    size_t n;
    own_grader *o = g->state = hn_calloc(1, sizeof *o);
    if (!o) return hn_fail_memory(err, sizeof *o);
    if (!hn_grader_config_path(g->config, "file", path, sizeof path))
        return hn_fail(err, HN_ERR_LIMIT, g->config->place, NULL, "the path of the script is too long");
    HN_TRY(hn_file_read(path, SCRIPT_BYTES_MAX, &o->script, &n, err));
    o->lua = (hn_lua_script){.name = hn_grader_option(g, "file"),
                             .text = o->script,
                             .n = n,
                             .memory_bytes = (size_t)hn_grader_number(g, "memory_mb") << 20,
                             .timeout_ms = (int)ceil(1e3 * hn_grader_number(g, "timeout_s"))};
    return HN_OK;
}

static hn_status open_program(hn_grader *g, hn_error *err) {
    const json_t *run = json_object_get(g->config->options, "run");
    size_t n = json_array_size(run);
    own_grader *o = g->state = hn_calloc(1, sizeof *o);
    if (!o || !(o->argv = hn_calloc(n + 1, sizeof *o->argv))) return hn_fail_memory(err, n * sizeof *o->argv);
    for (size_t i = 0; i < n; i++) o->argv[i] = json_string_value(json_array_get(run, i));
    return HN_OK;
}

static hn_status start(const hn_grader *g, own_grader *o, hn_error *err) {
    hn_status st = o->argv ? hn_line_child_spawn(o->argv, g->config->folder, &o->child, err)
                           : hn_line_child_fork(o->lua.name, hn_lua_child, &o->lua, &o->child, err);
    if (st == HN_ERR_NOT_FOUND) hn_error_prefix(err, g->config->place);
    return st;
}

/* Texts of models may hold bytes that are no UTF-8: they are replaced when they are written. */
static json_t *text_json(const char *text) { return text ? json_stringn_nocheck(text, strlen(text)) : json_null(); }

/* {"case","answer","value","target","group","inputs","error","tokens","latency_ms"} */
static hn_status case_line(const hn_graded *item, hn_buf *out, hn_error *err) {
    const hn_prediction *row = item->row;
    hn_str answer = hn_grader_answer(item);
    json_t *line = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:O?, s:o, s:I, s:f}", "case", text_json(row->case_id), "answer",
        row->error ? json_null() : json_stringn_nocheck(answer.data ? answer.data : "", answer.len), "value",
        text_json(row->value), "target", text_json(row->target), "group", text_json(row->group), "inputs",
        item->c ? item->c->inputs : NULL, "error", text_json(row->error), "tokens", (json_int_t)row->completion_tokens,
        "latency_ms", isfinite(row->prefill_ms + row->decode_ms) ? row->prefill_ms + row->decode_ms : 0.0);
    if (!line) return hn_fail_memory(err, 0);
    hn_json_write(line, NULL, out);
    json_decref(line);
    return hn_buf_check(out, "a case", err);
}

/* ---- what came back ---- */

static bool number_of(const json_t *value, double *number) {
    if (json_is_boolean(value))
        *number = json_is_true(value);
    else if (json_is_number(value))
        *number = json_number_value(value);
    else if (json_is_null(value))
        *number = (double)NAN;
    else
        return false;
    return !isinf(*number);
}

/* HN_ERR_INPUT with why it is none. */
static hn_status read_reply(hn_str text, hn_grade *out, hn_error *err) {
    json_t *reply;
    hn_error why = {0};
    hn_status st = hn_json_parse(text.data, text.len, "answer", HN_JSON_ANY, &reply, &why);
    if (st != HN_OK)
        return hn_fail(err, st == HN_ERR_MEMORY ? st : HN_ERR_INPUT, NULL,
                       "answer with one line of JSON: 0.5, or {\"value\": 0.5}", "its answer is no JSON: %.*s",
                       (int)(text.len < 120 ? text.len : 120), text.data);
    const json_t *value = json_is_object(reply) ? json_object_get(reply, "value") : reply;
    const char *failed = json_string_value(json_object_get(reply, "error"));
    if (failed)
        st = hn_fail(err, HN_ERR_INPUT, NULL, NULL, "%s", failed);
    else if (!value || !number_of(value, &out->value))
        st = hn_fail(err, HN_ERR_INPUT, NULL, "answer with a number, true, false, null, or {\"value\": ...}",
                     "its answer has no number: %.*s", (int)(text.len < 120 ? text.len : 120), text.data);
    else if (json_is_object(reply) && json_object_size(reply) > 1)
        hn_json_write(reply, NULL, &out->details);
    json_decref(reply);
    return st == HN_OK ? hn_buf_check(&out->details, "a grade's details", err) : st;
}

static hn_status ask(const hn_grader *g, own_grader *o, const hn_graded *item, hn_grade *out, hn_error *err) {
    hn_buf line;
    hn_str reply;
    int timeout_ms = (int)ceil(1e3 * hn_grader_number(g, "timeout_s"));
    if (!o->child) HN_TRY(start(g, o, err));
    hn_buf_init(&line, 0);
    hn_status st = case_line(item, &line, err);
    /* A script stops itself at its time; the grace is for what its clock cannot see, such as one endless pattern. */
    if (st == HN_OK)
        st = hn_line_child_ask(o->child, hn_buf_str(&line), line.len, timeout_ms + (o->argv ? 0 : GRACE_MS), &reply,
                               err);
    hn_buf_free(&line);
    if (st != HN_OK) {
        hn_line_child_close(o->child);
        o->child = NULL;
        return st;
    }
    return read_reply(reply, out, err);
}

static hn_status skip_case(hn_grader *g, own_grader *o, const hn_error *why, hn_grade *out, hn_error *err) {
    out->value = (double)NAN;
    out->failed = true;
    hn_buf_clear(&out->details);
    hn_buf_append_str(&out->details, "{\"error\":");
    hn_json_write_string(why->message, strlen(why->message), false, &out->details);
    hn_buf_append_char(&out->details, '}');
    if (++o->n_failures < FAILURES_MAX) return hn_buf_check(&out->details, "a grade's details", err);
    return hn_fail(err, HN_ERR_INPUT, g->config->place, NULL, "grader %s failed %d times in a row, at last: %s",
                   g->config->name, FAILURES_MAX, why->message);
}

static hn_status grade_own(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    own_grader *o = g->state;
    hn_error why = {0};
    hn_status st = ask(g, o, item, out, &why);
    if (st == HN_OK) {
        o->n_failures = 0;
        return HN_OK;
    }
    bool its_own = st == HN_ERR_INPUT || st == HN_ERR_TIMEOUT || st == HN_ERR_LIMIT;
    if (its_own && hn_grader_is(g, "on_error", "skip")) return skip_case(g, o, &why, out, err);
    if (its_own)
        return hn_grader_fail(g, item,
                              why.hint[0] ? why.hint : "`on_error: skip` leaves out the cases that it fails on", err,
                              "%s", why.message);
    if (err) *err = why;
    return st;
}

const hn_grader_kind hn_grader_lua = {"lua", .open = open_lua, .grade = grade_own, .close = close_own};
const hn_grader_kind hn_grader_program = {"program", .open = open_program, .grade = grade_own, .close = close_own};
