/* The public functions of a provider; see provider.h. What is checked here need not be checked by each implementation. */
#include "provider/provider_table.h"

static hn_status check_constraint(const hn_request *r, hn_error *err) {
    const hn_constraint *c = &r->constraint;
    bool whole = true;
    switch (c->kind) {
    case HN_CONSTRAIN_NONE:
    case HN_CONSTRAIN_JSON: break;
    case HN_CONSTRAIN_SCHEMA: whole = c->schema != NULL; break;
    case HN_CONSTRAIN_REGEX:
    case HN_CONSTRAIN_GBNF: whole = c->text != NULL; break;
    case HN_CONSTRAIN_CHOICES: whole = c->choices && c->n_choices > 0; break;
    }
    if (!whole)
        return hn_fail(err, HN_ERR_USAGE, "request: constraint", "give its schema, text or choices",
                       "it says nothing about the answer");
    if (c->kind != HN_CONSTRAIN_NONE && r->kind != HN_REQUEST_GENERATE)
        return hn_fail(err, HN_ERR_USAGE, "request: constraint", "take it away",
                       "only generated answers can be held to one");
    if (r->tools && !r->messages)
        return hn_fail(err, HN_ERR_USAGE, "request: tools", "give messages",
                       "tools are shown to the model by its chat template, which raw text and ids do not go through");
    return HN_OK;
}

static hn_status check_request(const hn_request *r, hn_error *err) {
    int n_inputs = (r->messages != NULL) + (r->raw != NULL) + (r->ids != NULL);
    if (n_inputs != 1)
        return hn_fail(err, HN_ERR_USAGE, "request", "give one of messages, raw text and ids",
                       "it has %d inputs instead of one", n_inputs);
    if (r->kind == HN_REQUEST_LABELS && (r->n_labels == 0 || !r->labels))
        return hn_fail(err, HN_ERR_USAGE, "request: labels", "give at least one label", "there is no label to score");
    if (r->label_mode > HN_LABELS_BEST)
        return hn_fail(err, HN_ERR_USAGE, "request: labels", NULL, "label mode %d is not known", (int)r->label_mode);
    if (r->kind == HN_REQUEST_GENERATE && (r->max_tokens < 0 || r->n_top < 0 || r->n_top > 20))
        return hn_fail(err, HN_ERR_USAGE, "request", "max_tokens is 0 or more, top 0 to 20",
                       "max_tokens is %d, top is %d", r->max_tokens, r->n_top);
    return check_constraint(r, err);
}

hn_status hn_provider_submit(hn_provider *p, const hn_request *request, double deadline_seconds,
                             hn_on_completion *on_done, void *user, uint64_t *ticket, hn_error *err) {
    HN_TRY(check_request(request, err));
    return p->table->submit(p, request, deadline_seconds, on_done, user, ticket, err);
}

hn_status hn_provider_step(hn_provider *p, int timeout_ms, size_t *pending, hn_error *err) {
    size_t unused;
    return p->table->step(p, timeout_ms, pending ? pending : &unused, err);
}

void hn_provider_cancel(hn_provider *p, uint64_t ticket) { p->table->cancel(p, ticket); }

hn_status hn_provider_info_get(hn_provider *p, hn_provider_info *info, hn_error *err) {
    *info = (hn_provider_info){0};
    return p->table->info(p, info, err);
}

hn_status hn_provider_cache_key(hn_provider *p, const hn_request *request, char hex[65], hn_error *err) {
    hex[0] = 0;
    HN_TRY(check_request(request, err));
    return p->table->cache_key(p, request, hex, err);
}

hn_status hn_provider_prompt_ids(hn_provider *p, const hn_request *request, hn_tokens *ids, hn_error *err) {
    HN_TRY(check_request(request, err));
    if (p->table->prompt_ids) return p->table->prompt_ids(p, request, ids, err);
    return hn_fail(err, HN_ERR_UNSUPPORTED, "provider", "use a local model",
                   "the tokens of a remote model cannot be shown");
}

hn_status hn_provider_label_ids(hn_provider *p, const hn_request *request, hn_tokens *ids, hn_error *err) {
    HN_TRY(check_request(request, err));
    if (p->table->label_ids && request->kind == HN_REQUEST_LABELS) return p->table->label_ids(p, request, ids, err);
    return hn_fail(err, HN_ERR_UNSUPPORTED, "provider", "use a local model",
                   "the tokens of a remote model cannot be shown");
}

void hn_provider_close(hn_provider *p) {
    if (p) p->table->close(p);
}
