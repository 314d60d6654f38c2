/* From the bytes of an answer to what has come of it; see remote_parts.h. The bytes are a stranger's: all lengths are limited, and what does not
 * fit the form is skipped or is an error, never trusted. */
#include "base/str.h"
#include "base/utf8.h"
#include "provider/remote_parts.h"

#include <limits.h>
#include <math.h>
#include <string.h>

hn_status hn_remote_reply_init(hn_remote_reply *reply, hn_error *err) {
    *reply = (hn_remote_reply){.finish = HN_FINISH_STOP};
    hn_buf_init(&reply->text, HN_REMOTE_TEXT_MAX);
    hn_buf_init(&reply->input, HN_REMOTE_TEXT_MAX);
    reply->arena = hn_arena_create(4096);
    return reply->arena ? HN_OK : hn_fail_memory(err, 4096);
}

void hn_remote_reply_free(hn_remote_reply *reply) {
    hn_buf_free(&reply->text);
    hn_buf_free(&reply->input);
    json_decref(reply->calls);
    hn_free(reply->vector);
    hn_free(reply->tokens);
    if (reply->arena) hn_arena_free(reply->arena);
    *reply = (hn_remote_reply){0};
}

void hn_remote_reply_text(hn_remote_reply *reply, const json_t *text) {
    if (json_is_string(text)) hn_buf_append(&reply->text, json_string_value(text), json_string_length(text));
}

int hn_remote_count(const json_t *object, const char *field) {
    const json_t *value = json_object_get(object, field);
    json_int_t n = json_is_integer(value) ? json_integer_value(value) : 0;
    return n < 0 ? 0 : n > 1 << 30 ? 1 << 30 : (int)n;
}

hn_status hn_remote_reply_call(hn_remote_reply *reply, const char *id, const char *name, const char *arguments,
                               hn_error *err) {
    char own[32];
    size_t n = json_array_size(reply->calls);
    if (!name || n >= HN_REMOTE_CALLS_MAX) return HN_OK;
    snprintf(own, sizeof own, "call%05zu", n);
    if (!reply->calls) reply->calls = json_array();
    json_t *call = json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", id ? id : own, "type", "function", "function", "name",
                             name, "arguments", arguments ? arguments : "{}");
    return json_array_append_new(reply->calls, call) == 0 ? HN_OK : hn_fail_memory(err, 64);
}

/* ---- the answer inside {"answer": ...} ---- */

/* An endpoint that does not keep to the schema gives something else: its text stays as it is. */
static hn_status unwrap(const hn_remote_plan *plan, hn_remote_reply *reply, hn_error *err) {
    json_t *value;
    if (hn_json_parse(hn_buf_str(&reply->text), reply->text.len, "answer", HN_JSON_ANY | HN_JSON_NUL, &value, NULL) !=
        HN_OK)
        return HN_OK;
    const json_t *inner = json_object_get(value, HN_REMOTE_FIELD);
    if (inner && (!plan->as_text || json_is_string(inner))) {
        hn_buf_clear(&reply->text);
        if (plan->as_text)
            hn_remote_reply_text(reply, inner);
        else
            hn_json_write(inner, NULL, &reply->text);
    }
    json_decref(value);
    return hn_buf_check(&reply->text, "the answer", err);
}

hn_status hn_remote_reply_finish(hn_remote_request *r, bool *again, hn_error *err) {
    hn_remote *p = r->p;
    hn_remote_reply *reply = &r->reply;
    hn_status st = HN_OK;
    json_t *value = NULL;
    *again = false;
    HN_TRY(hn_buf_check(&r->received, "the answer", err));
    /* some servers answer a request for a stream in one piece */
    bool whole = !r->plan.stream || (!reply->ended && !r->streamed && r->received.len && r->received.data[0] == '{');
    if (whole) {
        *again = true; /* what is no JSON may come of a proxy that is unwell */
        if (hn_json_parse(hn_buf_str(&r->received), r->received.len, "answer", HN_JSON_NUL, &value, NULL) != HN_OK)
            return hn_remote_not_json(p, hn_buf_str(&r->received), err);
        *again = false;
        if (json_is_object(json_object_get(value, "error")))
            st = hn_remote_explain_json(p, r->result.http_status, value, again, err);
        else
            st = p->dialect->read(&r->plan, value, reply, err);
        json_decref(value);
    } else if (!reply->ended && !r->stopped) {
        *again = !r->streamed;
        st = hn_fail(err, HN_ERR_NETWORK, p->shown_url, "run the same command again",
                     "the stream broke off before the answer was whole");
    }
    if (st == HN_OK) st = hn_buf_check(&reply->text, "the answer", err);
    if (st == HN_OK && reply->filtered)
        st = hn_fail(err, HN_ERR_LIMIT, p->model->name, "write the prompt in another way",
                     "the endpoint's content filter stopped the answer");
    if (st == HN_OK && r->plan.wrapped) st = unwrap(&r->plan, reply, err);
    return st;
}

/* ---- streams ---- */

static bool give(hn_remote_request *r, size_t from) {
    size_t n = r->reply.text.len - from;
    if (n == 0 || hn_buf_status(&r->reply.text) != HN_OK) return true;
    hn_output_token token = {.id = -1, .text = r->reply.text.data + from, .n_bytes = n, .logprob = (float)NAN};
    r->streamed = true;
    if (r->on_token(r->token_user, &token)) return true;
    r->stopped = true;
    r->reply.finish = HN_FINISH_CANCELLED;
    return false;
}

static bool on_event(void *user, const char *event, const char *data, size_t n) {
    hn_remote_request *r = user;
    hn_remote_reply *reply = &r->reply;
    json_t *value;
    bool again;
    if (n == 6 && memcmp(data, "[DONE]", 6) == 0) {
        reply->ended = true;
        return true;
    }
    if (hn_json_parse(data, n, "event", HN_JSON_NUL, &value, NULL) != HN_OK) {
        r->event_status = hn_remote_not_json(r->p, data, &r->event_error);
        return false;
    }
    size_t before = reply->text.len;
    if (json_is_object(json_object_get(value, "error")))
        r->event_status = hn_remote_explain_json(r->p, r->result.http_status, value, &again, &r->event_error);
    else
        r->event_status = r->p->dialect->read_event(&r->plan, event, value, reply, &r->event_error);
    json_decref(value);
    if (r->event_status == HN_OK) r->event_status = hn_buf_check(&reply->text, "the answer", &r->event_error);
    return r->event_status == HN_OK && give(r, before);
}

bool hn_remote_reply_stream(hn_remote_request *r, const char *bytes, size_t n) {
    hn_error unused;
    hn_status st = hn_sse_feed(&r->sse, bytes, n, on_event, r, &unused);
    if (st == HN_OK || r->stopped || r->event_status != HN_OK) return st == HN_OK;
    r->event_status = st;
    r->event_error = unused;
    return false;
}
