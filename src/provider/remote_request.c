/* From an hn_request to the bytes that are sent, and its content key; see remote_parts.h. The dialect writes the request; what a model's
 * `omit` and `extra` say is applied here, last. */
#include "base/clock.h"
#include "base/hash.h"
#include "provider/remote_parts.h"

#include <math.h>
#include <string.h>

hn_status hn_remote_set(const hn_remote_model *m, json_t *body, const char *field, json_t *value, hn_error *err) {
    bool omitted = false;
    for (size_t i = 0; i < m->n_omit; i++) omitted = omitted || strcmp(m->omit[i], field) == 0;
    if (omitted) {
        json_decref(value);
        return HN_OK;
    }
    return json_object_set_new(body, field, value) == 0 ? HN_OK : hn_fail_memory(err, 64);
}

int hn_remote_max_tokens(const hn_remote_model *m, const hn_request *r) {
    if (r->kind != HN_REQUEST_GENERATE) return 0;
    return m->max_tokens > 0 && r->max_tokens > m->max_tokens ? m->max_tokens : r->max_tokens;
}

/* What no endpoint of either kind can do. */
static hn_status check(const hn_remote *p, const hn_request *r, hn_error *err) {
    const char *name = p->model->name;
    if (r->kind == HN_REQUEST_LABELS)
        return hn_fail(err, HN_ERR_UNSUPPORTED, name, "use `answer: generate`, or a local model",
                       "a remote model gives no likelihoods of labels");
    if (r->ids)
        return hn_fail(err, HN_ERR_UNSUPPORTED, name, "give text or messages", "a remote model takes no token ids");
    if (r->echo)
        return hn_fail(err, HN_ERR_UNSUPPORTED, name, "use a local model", "a remote model does not echo its prompt");
    if (r->kind == HN_REQUEST_GENERATE && r->max_tokens < 1)
        return hn_fail(err, HN_ERR_USAGE, name, "allow at least one", "a remote model writes at least one token");
    return HN_OK;
}

static hn_status add_extra(const hn_remote_model *m, json_t *body, hn_error *err) {
    const char *field;
    json_t *value;
    json_object_foreach(m->extra, field, value) {
        if (json_object_set(body, field, value) != 0) return hn_fail_memory(err, 64);
    }
    return HN_OK;
}

static hn_status write_text(const hn_remote *p, json_t *body, hn_buf *out, hn_error *err) {
    hn_status st = add_extra(p->model, body, err);
    if (st == HN_OK) hn_json_write(body, &(hn_json_style){.sort_keys = true}, out);
    return st == HN_OK ? hn_buf_check(out, "the request", err) : st;
}

hn_status hn_remote_request_text(const hn_remote *p, const hn_request *r, hn_remote_plan *plan, hn_buf *out,
                                 hn_error *err) {
    json_t *body = NULL;
    *plan = (hn_remote_plan){0};
    HN_TRY(check(p, r, err));
    hn_status st = p->dialect->write(p->model, r, plan, &body, err);
    if (st == HN_OK) st = write_text(p, body, out, err);
    json_decref(body);
    return st;
}

hn_status hn_remote_cache_key(hn_provider *base, const hn_request *r, char hex[65], hn_error *err) {
    const hn_remote *p = (const hn_remote *)base;
    hn_remote_plan plan;
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_status st = hn_remote_request_text(p, r, &plan, &text, err);
    hn_sha256 *h = st == HN_OK ? hn_sha256_create() : NULL;
    if (h) {
        hn_sha256_field_str(h, "hone remote 1");
        hn_sha256_field_str(h, p->dialect->name);
        hn_sha256_field_str(h, p->model->url);
        hn_sha256_field_str(h, p->dialect->path(&plan));
        hn_sha256_field_str(h, p->version);
        hn_sha256_field(h, hn_buf_str(&text), text.len);
        hn_sha256_finish(h, hex);
    } else if (st == HN_OK) {
        st = hn_fail_memory(err, 64);
    }
    hn_buf_free(&text);
    return st;
}

/* The body that is sent. A stream is asked for where somebody watches and the text can be shown as it comes. */
static hn_status make_body(hn_remote *p, const hn_request *r, hn_remote_request *out, hn_error *err) {
    json_t *body = NULL;
    hn_buf text;
    hn_buf_init(&text, 0);
    HN_TRY(check(p, r, err));
    hn_status st = p->dialect->write(p->model, r, &out->plan, &body, err);
    out->plan.stream = st == HN_OK && r->on_token && !out->plan.wrapped && !out->plan.by_tool;
    if (out->plan.stream) {
        st = json_object_set_new(body, "stream", json_true()) == 0 ? HN_OK : hn_fail_memory(err, 64);
        if (st == HN_OK && p->model->api == HN_REMOTE_OPENAI)
            st = hn_remote_set(p->model, body, "stream_options", json_pack("{s:b}", "include_usage", 1), err);
    }
    if (st == HN_OK) st = write_text(p, body, &text, err);
    json_decref(body);
    out->body_bytes = text.len;
    out->body = hn_buf_take(&text);
    hn_buf_free(&text);
    return st == HN_OK && !out->body ? hn_fail_memory(err, 64) : st;
}

hn_status hn_remote_request_create(hn_remote *p, const hn_request *r, hn_remote_request **out, hn_error *err) {
    *out = NULL;
    hn_remote_request *made = hn_calloc(1, sizeof *made);
    if (!made) return hn_fail_memory(err, sizeof *made);
    made->p = p;
    made->on_token = r->on_token;
    made->token_user = r->token_user;
    made->max_tokens = hn_remote_max_tokens(p->model, r);
    made->submitted = hn_clock_seconds();
    hn_buf_init(&made->received, HN_REMOTE_TEXT_MAX);
    hn_sse_init(&made->sse, HN_REMOTE_EVENT_MAX);
    hn_status st = hn_remote_reply_init(&made->reply, err);
    if (st == HN_OK) st = make_body(p, r, made, err);
    if (st == HN_OK)
        *out = made;
    else
        hn_remote_request_free(made);
    return st;
}

void hn_remote_request_free(hn_remote_request *r) {
    if (!r) return;
    hn_free(r->body);
    hn_buf_free(&r->received);
    hn_sse_free(&r->sse);
    hn_remote_reply_free(&r->reply);
    hn_free(r);
}
