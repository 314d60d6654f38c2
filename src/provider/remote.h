/* A model behind an HTTP API as a provider: OpenAI-style chat completions, or Anthropic-style messages.
 *
 *     hn_provider *p;
 *     HN_TRY(hn_provider_remote_open(model, &(hn_remote_options){.budget = &budget}, &p, &err));
 *     HN_TRY(hn_provider_submit(p, &request, 0, on_done, user, &ticket, &err));   // as with any provider; see provider.h
 *     HN_TRY(hn_provider_step(p, 100, &pending, &err));
 *     hn_provider_close(p);
 *
 * Up to `concurrency` requests are in flight. What may pass by itself (429, 5xx, a broken connection, a timeout) is tried again, after what
 * Retry-After asks for or a growing pause with jitter; refusals (401, 403, 404, 400) are not. A prompt that is too long for the model is that
 * request's own HN_ERR_CONTEXT. Rate limits delay; the budget is never overdrawn knowingly: each request's most likely largest cost is set aside
 * before it is sent, and what would pass the budget comes back with HN_ERR_BUDGET once all that was paid for has arrived.
 * The key is read once from the environment or a file, sent in a header, and stands nowhere else.
 * HN_REQUEST_POOLED asks an OpenAI-style endpoint for the embedding of the text (raw, or the messages' contents); it comes as `pooled`.
 * Labels cannot be scored (info.generates_only). Log-probabilities come where the API has them. Ownership: the model description is
 * copied. Threading: one thread. */
#ifndef HN_PROVIDER_REMOTE_H
#define HN_PROVIDER_REMOTE_H

#include "provider/price.h"

typedef struct hn_remote_options {
    hn_budget *budget;      /* borrowed, may be shared with others; needs prices. NULL: no limit */
    const char *record_dir; /* each exchange is written there, without keys; NULL: not */
    const char *replay_dir; /* answers come from there and nothing is sent; NULL: not */
    int retry_base_ms;      /* the first pause; 0: 500 */
} hn_remote_options;

/* HN_ERR_INPUT: no key, or a budget without prices. Nothing is sent yet. */
hn_status hn_provider_remote_open(const hn_remote_model *model, const hn_remote_options *options, hn_provider **p,
                                  hn_error *err) HN_MUST_CHECK;

#endif
