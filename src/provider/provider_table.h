/* What a provider implements: one table of functions. The public functions of provider.h check their arguments and call it.
 *
 *     typedef struct local_provider { hn_provider base; hn_engine *engine; ... } local_provider;
 *     static const hn_provider_table table = {.submit = submit, .step = step, ...};
 *     local->base.table = &table;                          // and hand out &local->base
 *
 * Each function has the contract of its namesake in provider.h. Ownership: `close` frees the provider. Threading: one thread. */
#ifndef HN_PROVIDER_PROVIDER_TABLE_H
#define HN_PROVIDER_PROVIDER_TABLE_H

#include "provider/provider.h"

typedef struct hn_provider_table {
    hn_status (*submit)(hn_provider *p, const hn_request *request, double deadline_seconds, hn_on_completion *on_done,
                        void *user, uint64_t *ticket, hn_error *err);
    hn_status (*step)(hn_provider *p, int timeout_ms, size_t *pending, hn_error *err);
    void (*cancel)(hn_provider *p, uint64_t ticket);
    hn_status (*info)(hn_provider *p, hn_provider_info *info, hn_error *err);
    hn_status (*cache_key)(hn_provider *p, const hn_request *request, char hex[65], hn_error *err);
    hn_status (*prompt_ids)(hn_provider *p, const hn_request *request, hn_tokens *ids,
                            hn_error *err); /* NULL: no tokens to show */
    hn_status (*label_ids)(hn_provider *p, const hn_request *request, hn_tokens *ids,
                           hn_error *err); /* NULL: none to show */
    void (*close)(hn_provider *p);
} hn_provider_table;

struct hn_provider {
    const hn_provider_table *table; /* the implementation's own fields follow */
};

#endif
