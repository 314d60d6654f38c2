/* What remote answers cost, and a budget that they must stay within.
 *
 *     double dollars = hn_price_cost(&model->price, &usage, 0);
 *     hn_budget budget = {.limit = 2.0};
 *     if (!hn_budget_reserve(&budget, hn_price_most(&model->price, body_bytes, max_tokens))) ...   // would pass the limit
 *     hn_budget_settle(&budget, reserved, dollars);
 *
 * US dollars throughout; NaN: no price is known. Threading: plain values. */
#ifndef HN_PROVIDER_PRICE_H
#define HN_PROVIDER_PRICE_H

#include "project/models.h"
#include "provider/provider.h"

/* Of `usage`, of whose prompt tokens `cache_write_tokens` were written to the endpoint's cache. */
double hn_price_cost(const hn_remote_price *price, const hn_usage *usage, int cache_write_tokens);
/* Tokens that a request of so many bytes may have: an estimate from above for usual text. */
double hn_price_prompt_tokens(size_t body_bytes);
/* The most that a request is likely to cost. */
double hn_price_most(const hn_remote_price *price, size_t body_bytes, int max_tokens);

typedef struct hn_budget {
    double limit; /* 0 or NaN: none */
    double spent, reserved;
} hn_budget;

/* Sets `amount` aside; false: it would pass the limit, and nothing changes. */
bool hn_budget_reserve(hn_budget *b, double amount);
/* Gives `reserved` back and books what was really spent (NaN or 0: nothing). */
void hn_budget_settle(hn_budget *b, double reserved, double cost);

#endif
