/* What went wrong between us and an endpoint, and what to do about it; see remote_parts.h. What a server says is shown, since it often names the
 * mistake: cut, without control characters, and with the key overwritten wherever the server repeats it. */
#include "base/utf8.h"
#include "provider/remote_parts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SAID_MAX = 240 };

/* `text` fit to be shown: one line, valid UTF-8, cut. */
static void clean(const hn_remote *p, const char *text, size_t n, char out[SAID_MAX + 8]) {
    size_t used = 0;
    for (size_t i = 0; i < n && used < SAID_MAX;) {
        uint32_t cp;
        i += hn_utf8_decode(text + i, n - i, &cp);
        if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0)) cp = ' ';
        if (cp == ' ' && (used == 0 || out[used - 1] == ' ')) continue;
        used += hn_utf8_encode(cp, out + used);
    }
    out[used] = 0;
    hn_remote_key_redact(&p->key, out);
}

/* What a JSON error says: {"error": {"message"}}, {"error": "..."}, {"message"} or {"detail"}. */
static const char *message_of(const json_t *value) {
    const json_t *error = json_object_get(value, "error");
    const char *text = json_string_value(json_object_get(error, "message"));
    if (!text) text = json_string_value(error);
    if (!text) text = json_string_value(json_object_get(value, "message"));
    if (!text) text = json_string_value(json_object_get(value, "detail"));
    return text;
}

static bool has(const char *text, const char *part) { return text && strcasestr(text, part) != NULL; }

static bool is_context_error(const char *kind, const char *said) {
    return has(kind, "context_length") || has(kind, "exceed_context") || has(said, "context length") ||
           has(said, "context size") || has(said, "context window") || has(said, "prompt is too long") ||
           has(said, "maximum context") || has(said, "too many tokens");
}

/* By status, or (0 and 200) by the error's kind. */
static hn_status explain(const hn_remote *p, long status, const char *kind, const char *said, bool *again,
                         hn_error *err) {
    const char *url = p->shown_url, *comma = *said ? ": " : "";
    char key[160];
    hn_remote_key_describe(p->model, key, sizeof key);
    *again = false;
    if (is_context_error(kind, said))
        return hn_fail(err, HN_ERR_CONTEXT, p->model->name, "shorten the prompt, or use a model with a longer context",
                       "the endpoint finds the prompt too long%s%s", comma, said);
    if (has(kind, "content_filter") || has(kind, "content_policy"))
        return hn_fail(err, HN_ERR_LIMIT, p->model->name, "write the prompt in another way",
                       "the endpoint's content filter refuses the prompt%s%s", comma, said);
    if (status == 401 || status == 403 || has(kind, "authentication_error") || has(kind, "permission_error")) {
        char hint[300];
        snprintf(hint, sizeof hint, "check the key (%s) and what it is allowed to do", key);
        return hn_fail(err, HN_ERR_NETWORK, url, hint, "the endpoint does not accept the key (HTTP %ld)%s%s", status,
                       comma, said);
    }
    if (status == 402 || has(kind, "insufficient_quota") || has(kind, "billing"))
        return hn_fail(err, HN_ERR_NETWORK, url, "check the account's balance and limits",
                       "the account cannot pay for more (HTTP %ld)%s%s", status, comma, said);
    if (status == 404 || status == 405 || has(kind, "not_found_error"))
        return hn_fail(
            err, HN_ERR_NOT_FOUND, url, "check `url` (it ends before /chat/completions or /messages) and `model`",
            "the endpoint has no such address or model %s (HTTP %ld)%s%s", p->model->model, status, comma, said);
    *again = hn_retry_status(status) || has(kind, "overloaded") || has(kind, "rate_limit");
    if (status == 429)
        return hn_fail(err, HN_ERR_NETWORK, url,
                       "lower `concurrency`, or set `requests_per_minute` and `tokens_per_minute`",
                       "the endpoint says: too many requests (HTTP 429)%s%s", comma, said);
    if (*again)
        return hn_fail(err, HN_ERR_NETWORK, url, "try again later: the same command goes on where it stopped",
                       "the endpoint fails (HTTP %ld)%s%s", status, comma, said);
    return hn_fail(err, HN_ERR_NETWORK, url,
                   "leave out what it does not take: `omit: [FIELD]` or `structured: none` in hone.yaml",
                   "the endpoint refuses the request (HTTP %ld)%s%s", status, comma, said);
}

hn_status hn_remote_explain_json(const hn_remote *p, long status, const json_t *value, bool *again, hn_error *err) {
    char said[SAID_MAX + 8];
    const json_t *error = json_object_get(value, "error");
    const char *message = message_of(value), *code = json_string_value(json_object_get(error, "code")),
               *type = json_string_value(json_object_get(error, "type"));
    char kind[200];
    snprintf(kind, sizeof kind, "%s %s", code ? code : "", type ? type : "");
    clean(p, message ? message : "", message ? strlen(message) : 0, said);
    return explain(p, status, kind, said, again, err);
}

hn_status hn_remote_not_json(const hn_remote *p, const char *what, hn_error *err) {
    char said[SAID_MAX + 8];
    clean(p, what, strnlen(what, 80), said);
    return hn_fail(err, HN_ERR_NETWORK, p->shown_url, "check `url`: is this the API?",
                   "what the endpoint answers is no JSON: \"%s\"", said);
}

static hn_status explain_status(const hn_remote_request *r, bool *again, hn_error *err) {
    const hn_remote *p = r->p;
    const hn_http_result *result = &r->result;
    json_t *value = NULL;
    hn_status st;
    if (result->http_status >= 300 && result->http_status < 400)
        return hn_fail(err, HN_ERR_NETWORK, p->shown_url, "give the address it points to as `url`, if you trust it",
                       "the endpoint redirects to %s (HTTP %ld), which is not followed, since the key would go there",
                       *result->location_host ? result->location_host : "another address", result->http_status);
    const char *body = hn_buf_str(&r->received);
    if (hn_json_parse(body, r->received.len, "answer", HN_JSON_ANY | HN_JSON_NUL, &value, NULL) == HN_OK) {
        st = hn_remote_explain_json(p, result->http_status, value, again, err);
        json_decref(value);
        return st;
    }
    char said[SAID_MAX + 8];
    clean(p, body, r->received.len < 120 ? r->received.len : 120, said);
    return explain(p, result->http_status, "", said, again, err);
}

hn_status hn_remote_explain(const hn_remote_request *r, bool *again, hn_error *err) {
    const hn_remote *p = r->p;
    const char *url = p->shown_url, *detail = r->result.detail;
    *again = false;
    switch (r->result.fault) {
    case HN_HTTP_FINE: return explain_status(r, again, err);
    case HN_HTTP_MEMORY: return hn_fail_memory(err, 0);
    case HN_HTTP_STOPPED:
        if (err) *err = r->event_error;
        return r->event_status;
    case HN_HTTP_UNREACHABLE:
        *again = p->has_answered || r->n_failed < 2;
        return hn_fail(err, HN_ERR_NETWORK, url,
                       "is the endpoint running, and the network connection (and https_proxy) right?",
                       "the endpoint cannot be reached: %s", detail);
    case HN_HTTP_CERTIFICATE:
        return hn_fail(err, HN_ERR_NETWORK, url,
                       "check this machine's clock and its certificates (package ca-certificates)",
                       "the endpoint's certificate is not valid: %s", detail);
    case HN_HTTP_TOO_LARGE:
        return hn_fail(err, HN_ERR_NETWORK, url, "check `url`: is this the API?",
                       "the endpoint sends more than any answer needs (past 16 MiB, or 64 KiB of headers)");
    case HN_HTTP_TIMEOUT:
        *again = true;
        return hn_fail(err, HN_ERR_NETWORK, url, "raise `timeout_s`, or ask for fewer tokens",
                       "no whole answer came within %g s", p->model->timeout_s);
    case HN_HTTP_BROKEN: break;
    }
    *again = true;
    return hn_fail(err, HN_ERR_NETWORK, url, "try again later: the same command goes on where it stopped",
                   "the connection broke off: %s", detail);
}
