/* Hone's own speed on one model: the work that `hone bench` and `hone bench --compare` time, and the least time that this machine could
 * take for it.
 *
 *     hn_speed *s;
 *     HN_TRY(hn_speed_open(path, &(hn_engine_options){.n_threads = 2}, 8192, &s, &err));
 *     double seconds;
 *     HN_TRY(hn_speed_prefill(s, 512, &seconds, &err));
 *     printf("%.0f tokens/s, %.0f %% of the limit\n", 512 / seconds, 100 * hn_speed_limit(s, 512, 1, 256, 1) / seconds);
 *     hn_speed_close(s);
 *
 * The tokens are pseudo-random ids, as llama-bench's are: what is computed does not depend on them. Threading: main thread. */
#ifndef HN_CLI_BENCH_SPEED_H
#define HN_CLI_BENCH_SPEED_H

#include "engine/engine.h"
#include "kernel/machine.h"

enum { HN_SPEED_STREAMS_MAX = 256 };

typedef struct hn_speed {
    hn_model *model;
    hn_engine *engine;
    const hn_kernels *kernels; /* those that the engine was asked for */
    hn_machine machine;        /* in f32 for a file of F32 weights, which every table multiplies in f32 */
    int32_t *ids;              /* (n_ids) */
    int n_ids, n_threads;
    float *logits;                                                    /* (HN_SPEED_STREAMS_MAX, V) */
    double weight_bytes, output_bytes, layer_weights, output_weights; /* bytes in the file; numbers of weights */
} hn_speed;

/* Opens the model and an engine for it, and measures the machine (0.4 s). A prompt may have up to `max_tokens` tokens, fewer where the
 * context is shorter: see n_ids. */
hn_status hn_speed_open(const char *path, const hn_engine_options *options, int max_tokens, hn_speed **speed,
                        hn_error *err) HN_MUST_CHECK;
void hn_speed_close(hn_speed *speed);
/* Measures the machine once more and keeps the higher rates: what else runs, also outside a virtual machine, only takes away. */
hn_status hn_speed_measure(hn_speed *s, hn_error *err) HN_MUST_CHECK;
/* Raises the rates of *best to those of `other` where these are higher. */
void hn_speed_better(hn_machine *best, const hn_machine *other);

/* Time for one prompt of `n` tokens in a new sequence, with the logits of its last token. */
hn_status hn_speed_prefill(hn_speed *s, int n, double *seconds, hn_error *err) HN_MUST_CHECK;
/* `n_streams` new sequences: times for a prompt of `n_prompt` tokens each in one step (0: none, and no time), and for `n_steps` steps of
 * one token each with logits. Both may be NULL. */
hn_status hn_speed_generate(hn_speed *s, int n_streams, int n_prompt, int n_steps, double *prompt_seconds,
                            double *step_seconds, hn_error *err) HN_MUST_CHECK;

/* The least time for a step: `rows` tokens, `outputs` of them with logits, each seeing `context` positions on average, in `streams`
 * sequences (a stream's keys and values are read once for its rows). The longer of reading its bytes once from memory and doing its
 * multiply-adds at the peak rate; both rates as measured. */
double hn_speed_limit(const hn_speed *s, double rows, double outputs, double context, double streams);

#endif
