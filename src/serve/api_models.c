/* GET /v1/models, /health and /ready. */
#include "serve/server_parts.h"

#include <string.h>

static json_t *model_json(const hn_served_model *m) {
    return json_pack("{s:s, s:s, s:I, s:s, s:i}", "id", m->id, "object", "model", "created", (json_int_t)m->created,
                     "owned_by", "hone", "max_model_len", m->info.context);
}

static void send_one(hn_api_context *c, const char *id) {
    hn_api_error e = {0};
    json_t *named = json_pack("{s:s}", "model", id);
    const hn_served_model *m = hn_api_model(c->server, named, &e);
    if (m)
        hn_api_send_json(c->reply, 200, model_json(m));
    else
        hn_api_error_send(c->reply, &e);
    json_decref(named);
}

void hn_api_models(hn_api_context *c) {
    if (*c->rest) {
        send_one(c, c->rest);
        return;
    }
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < c->server->n_models; i++)
        fine = json_array_append_new(list, model_json(&c->server->models[i])) == 0;
    hn_api_send_json(c->reply, 200, fine ? json_pack("{s:s, s:O}", "object", "list", "data", list) : NULL);
    json_decref(list);
}

void hn_api_health(hn_api_context *c) { hn_api_send_json(c->reply, 200, json_pack("{s:s}", "status", "ok")); }

/* 503 while it drains: whoever balances the load sends no more. */
void hn_api_ready(hn_api_context *c) {
    bool draining = c->server->drain_since > 0;
    hn_api_send_json(c->reply, draining ? 503 : 200,
                     json_pack("{s:s, s:i, s:i}", "status", draining ? "draining" : "ready", "requests",
                               hn_worker_calls(c->server->worker), "limit", c->server->options.queue_max));
}
