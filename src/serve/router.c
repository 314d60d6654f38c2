/* From a whole request to the function that answers it. What is wrong with the request as HTTP (address, method, type of its body) is answered
 * here, in the OpenAI API's words. */
#include "serve/server_parts.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct route {
    const char *method, *path; /* a path that ends with / takes whatever stands behind it */
    hn_api_handler *handler;
} route;

static const route routes[] = {
    {"GET", "/health", hn_api_health},
    {"GET", "/ready", hn_api_ready},
    {"GET", "/v1/models", hn_api_models},
    {"GET", "/v1/models/", hn_api_models},
    {"POST", "/v1/chat/completions", hn_api_chat},
    {"POST", "/v1/completions", hn_api_completions},
    {"POST", "/tokenize", hn_api_tokenize},
    {"POST", "/detokenize", hn_api_detokenize},
    {"POST", "/apply-template", hn_api_apply_template},
    {"POST", "/v1/apps/", hn_api_app},
};

static bool fits(const route *r, const char *path, const char **rest) {
    size_t n = strlen(r->path);
    *rest = "";
    if (r->path[n - 1] != '/') return strcmp(r->path, path) == 0;
    *rest = path + n;
    return strncmp(r->path, path, n) == 0 && path[n];
}

static const route *find(const hn_http_head *head, hn_api_context *c, hn_api_error *e) {
    const char *method = strcmp(head->method, "HEAD") == 0 ? "GET" : head->method, *allowed = NULL;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!fits(&routes[i], head->path, &c->rest)) continue;
        if (strcmp(routes[i].method, method) == 0) return &routes[i];
        allowed = routes[i].method;
    }
    if (allowed) {
        hn_reply_field(c->reply, "Allow", strcmp(allowed, "GET") == 0 ? "GET, HEAD" : allowed);
        hn_api_fail(e, 405, NULL, "method_not_supported",
                    "Not allowed to %.16s on %.200s. (HINT: Perhaps you meant to use a different HTTP method?)",
                    head->method, head->path);
    } else {
        hn_api_fail(e, 404, NULL, "unknown_url", "Unknown request URL: %.16s %.200s. Please check the URL for typos.",
                    head->method, head->path);
    }
    return NULL;
}

static bool is_json(const char *type) {
    size_t n = type ? strcspn(type, "; \t") : 0;
    return n == 16 && strncasecmp(type, "application/json", 16) == 0;
}

static void read_body(hn_api_context *c, hn_api_error *e) {
    const hn_http_message *m = c->message;
    const char *type = hn_http_field_get(m->head, "content-type");
    hn_error err;
    if (!is_json(type)) {
        hn_api_fail(
            e, 415, NULL, "unsupported_content_type",
            "Invalid Content-Type header (%.80s), expected application/json. (HINT: If you're using curl, you can "
            "pass -H 'Content-Type: application/json')",
            type ? type : "none");
        return;
    }
    if (hn_json_parse(m->body, m->body_bytes, "body", HN_JSON_ANY, &c->body, &err) != HN_OK) {
        c->body = NULL;
        hn_api_fail(e, err.code == HN_ERR_MEMORY ? 503 : 400, NULL, "invalid_json",
                    "We could not parse the JSON body of your request: %s: %s", err.where, err.message);
        return;
    }
    if (!json_is_object(c->body))
        hn_api_fail(e, 400, NULL, "invalid_json", "The JSON body of your request must be an object, it is %s.",
                    hn_json_type_text(c->body));
}

/* A page in a browser must not reach a server on this machine through a name that it had pointed here. */
static void check_host(const hn_api_context *c, hn_api_error *e) {
    const char *host = hn_http_field_get(c->message->head, "host");
    if (!host || !*host || !hn_http_server_is_loopback(c->server->http) || hn_http_host_is_loopback(host)) return;
    hn_api_fail(e, 421, NULL, "wrong_host",
                "this server answers on this machine alone, by localhost or 127.0.0.1, not as %.100s", host);
}

void hn_router_handle(void *user, const hn_http_message *message, hn_reply *reply) {
    hn_api_context c = {.server = user, .message = message, .reply = reply};
    hn_api_error e = {0};
    check_host(&c, &e);
    const route *r = e.status ? NULL : find(message->head, &c, &e);
    if (r && strcmp(r->method, "POST") == 0) read_body(&c, &e);
    if (e.status)
        hn_api_error_send(reply, &e);
    else
        r->handler(&c);
    json_decref(c.body);
    if (!c.handed_over) hn_reply_release(reply);
}

void hn_router_refusal(int status, const char *message, hn_buf *body) {
    hn_api_error e = {0};
    hn_api_fail(&e, status, NULL, status == 408 ? "timeout" : "bad_http", "%s", message);
    json_t *value = hn_api_error_json(&e);
    if (value) hn_json_write(value, NULL, body);
    json_decref(value);
}

hn_served_model *hn_api_model(hn_server *s, const json_t *body, hn_api_error *e) {
    const char *name = NULL;
    if (!e->status && !json_object_get(body, "model"))
        hn_api_fail(e, 400, NULL, NULL, "you must provide a model parameter");
    hn_field_string(e, body, "model", &name);
    if (e->status) return NULL;
    for (size_t i = 0; name && i < s->n_models; i++)
        if (strcmp(s->models[i].id, name) == 0 || strcmp(s->models[i].alias, name) == 0) return &s->models[i];
    hn_api_fail(e, 404, NULL, "model_not_found", "The model `%.200s` does not exist or you do not have access to it.",
                name ? name : "");
    return NULL;
}

void hn_api_hand_over(hn_api_context *c, hn_call *call) {
    hn_api_error e = {0};
    c->handed_over = true;
    if (hn_worker_add(c->server->worker, call)) return;
    hn_api_fail(&e, 503, NULL, "overloaded", "The server has as many requests as it takes. Try again in a moment.");
    hn_api_error_send(call->reply, &e);
    call->free(call);
}
