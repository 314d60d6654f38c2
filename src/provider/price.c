/* Costs; see price.h. */
#include "provider/price.h"

#include <math.h>

double hn_price_cost(const hn_remote_price *price, const hn_usage *usage, int cache_write_tokens) {
    if (!hn_remote_price_known(price)) return (double)NAN;
    double cached = usage->cached_prompt_tokens, written = cache_write_tokens;
    double fresh = usage->prompt_tokens - cached - written;
    if (fresh < 0) fresh = 0;
    double cached_price = isfinite(price->cached_input) ? price->cached_input : price->input;
    double write_price = isfinite(price->cache_write) ? price->cache_write : price->input;
    return (fresh * price->input + cached * cached_price + written * write_price +
            usage->completion_tokens * price->output) /
           1e6;
}

double hn_price_prompt_tokens(size_t body_bytes) { return (double)body_bytes / 3 + 16; }

double hn_price_most(const hn_remote_price *price, size_t body_bytes, int max_tokens) {
    if (!hn_remote_price_known(price)) return 0;
    double dearest = price->input;
    if (isfinite(price->cache_write) && price->cache_write > dearest) dearest = price->cache_write;
    return (hn_price_prompt_tokens(body_bytes) * dearest + (double)max_tokens * price->output) / 1e6;
}

bool hn_budget_reserve(hn_budget *b, double amount) {
    bool limited = isfinite(b->limit) && b->limit > 0;
    if (limited && b->spent + b->reserved + amount > b->limit) return false;
    b->reserved += amount;
    return true;
}

void hn_budget_settle(hn_budget *b, double reserved, double cost) {
    b->reserved -= reserved;
    if (b->reserved < 1e-12) b->reserved = 0;
    if (isfinite(cost)) b->spent += cost;
}
