/* What each layer's forward pass leaves for the backward pass, in one of three ways:
 *
 *     f32 products        everything in f32, a place for each layer
 *     bf16 products       layers share one place in f32; behind each layer its rows are rounded to bf16 and put away, and come back before the
 *                         layer's backward pass. Its input, attention's normalisers and the adapters' low rows stay f32
 *     checkpoint          layers share one place; their inputs alone are kept, and the rest is computed again
 *
 * Queries, keys and values are rounded before attention reads them in the forward pass too (round_rows), so that the backward pass meets the scores that the
 * normalisers belong to. What is computed again is rounded as what was put away, so a checkpoint changes no bit. The last layer, whose backward pass
 * comes first, is read where the forward pass left it, in f32. */
#include "train/network_parts.h"

#include <string.h>

/* Nearest, ties to even, as the kernels round. */
static uint16_t to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static float from_bf16(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

static void narrow(uint16_t *restrict to, const float *restrict from, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = to_bf16(from[i]);
}

static void widen(float *restrict to, const uint16_t *restrict from, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = from_bf16(from[i]);
}

void hn_activations_round(float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] = from_bf16(to_bf16(x[i]));
}

size_t hn_activations_widths(const hn_network *n, size_t widths[HN_KEPT]) {
    const hn_shape *s = &n->shape;
    size_t Q = (size_t)(s->n_heads * s->head_size), KV = (size_t)(s->n_kv_heads * s->head_size), sum = 0;
    const size_t all[HN_KEPT] = {Q, KV, KV, Q, (size_t)s->n_embd, (size_t)s->n_ff, (size_t)s->n_ff};
    memcpy(widths, all, sizeof all);
    for (int i = 0; i < HN_KEPT; i++) sum += all[i];
    return sum;
}

/* The shared places, in the order of hn_activations_widths. */
static void places_of(const hn_layer_memory *m, float *places[HN_KEPT]) {
    float *const all[HN_KEPT] = {m->q, m->k, m->v, m->attention, m->x2, m->gate, m->up};
    memcpy(places, all, sizeof all);
}

static void put_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const hn_layer_memory *m = arg;
    size_t widths[HN_KEPT];
    float *places[HN_KEPT];
    hn_activations_widths(n, widths);
    places_of(m, places);
    for (int i = 0; i < HN_KEPT; i++)
        narrow(m->kept[i] + from * widths[i], places[i] + from * widths[i], (to - from) * widths[i]);
}

static void get_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const hn_layer_memory *m = arg;
    size_t widths[HN_KEPT];
    float *places[HN_KEPT];
    hn_activations_widths(n, widths);
    places_of(m, places);
    for (int i = 0; i < HN_KEPT; i++)
        widen(places[i] + from * widths[i], m->kept[i] + from * widths[i], (to - from) * widths[i]);
}

static void round_rows(hn_network *n, void *arg, size_t from, size_t to) {
    size_t widths[HN_KEPT];
    float *places[HN_KEPT];
    hn_activations_widths(n, widths);
    places_of(arg, places);
    for (int i = 0; i < HN_KEPT; i++) hn_activations_round(places[i] + from * widths[i], (to - from) * widths[i]);
}

void hn_activations_put(hn_network *n, int layer) {
    if (n->narrow && !n->options.checkpoint) hn_network_rows(n, put_rows, &n->layers[layer].memory);
}

hn_status hn_activations_get(hn_network *n, int layer, hn_error *err) {
    hn_layer_memory *m = &n->layers[layer].memory;
    if (n->held == layer || !hn_activations_is_shared(n)) return HN_OK;
    n->held = -1;
    n->active = n->batch->n_rows;
    if (layer == n->shape.n_layers - 1)
        HN_TRY(hn_network_last_layer(n, err));
    else if (n->options.checkpoint)
        HN_TRY(hn_network_layer_again(n, &n->layers[layer], err));
    else
        hn_network_rows(n, get_rows, m);
    if (n->options.checkpoint && n->narrow && layer < n->shape.n_layers - 1) hn_network_rows(n, round_rows, m);
    n->held = layer;
    return HN_OK;
}

bool hn_activations_is_shared(const hn_network *n) { return n->narrow || n->options.checkpoint; }
