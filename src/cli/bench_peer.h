/* llama.cpp's tools as child processes: found in a folder, run, and their output read.
 *
 *     hn_peer peer;
 *     HN_TRY(hn_peer_find("build/peers", true, &peer, &err)); // llama-bench, llama-batched-bench, llama-completion
 *     double rates[5];
 *     HN_TRY(hn_peer_prefill(&peer, "model.gguf", 512, rates, 5, &err));
 *
 * A tool that ends with an error or prints something else than expected is HN_ERR_INPUT with the end of what it said. Each run has a
 * time limit of 15 minutes; Ctrl-C ends it. Threading: main thread. */
#ifndef HN_CLI_BENCH_PEER_H
#define HN_CLI_BENCH_PEER_H

#include "base/buf.h"
#include "base/file.h"

enum { HN_PEER_FILES_MAX = 16 };

typedef struct hn_peer {
    char bench[HN_PATH_MAX], batched[HN_PATH_MAX], completion[HN_PATH_MAX];
    char files[HN_PEER_FILES_MAX][HN_PATH_MAX]; /* *.gguf in models/ or beside the tools, in order of size */
    int n_files;
    int n_threads;                 /* for every run; the caller sets it */
    char build[64], cpu_name[128]; /* as llama-bench says; empty before its first run */
} hn_peer;

/* HN_ERR_NOT_FOUND: no such folder, or a tool is missing in it (which, and where it was looked for). llama-batched-bench may be missing
 * unless `streams`. */
hn_status hn_peer_find(const char *folder, bool streams, hn_peer *peer, hn_error *err) HN_MUST_CHECK;

/* Tokens per second of `n_rounds` prompts of `n` tokens, and of writing `n` tokens one by one from an empty context. */
hn_status hn_peer_prefill(hn_peer *peer, const char *file, int n, double *rates, int n_rounds,
                          hn_error *err) HN_MUST_CHECK;
hn_status hn_peer_decode(hn_peer *peer, const char *file, int n, double *rates, int n_rounds,
                         hn_error *err) HN_MUST_CHECK;
/* Tokens per second, of all streams together, of reading their prompts and of writing in steps. */
hn_status hn_peer_streams(hn_peer *peer, const char *file, int n_streams, int n_prompt, int n_steps,
                          double *prompt_rate, double *step_rate, hn_error *err) HN_MUST_CHECK;
/* The `n` most likely tokens after a prompt, as text, without the prompt. `text` is initialised by the caller. */
hn_status hn_peer_text(hn_peer *peer, const char *file, const char *prompt, int n, hn_buf *text,
                       hn_error *err) HN_MUST_CHECK;
/* From the start of the process to its end after one token. */
hn_status hn_peer_start(hn_peer *peer, const char *file, const char *prompt, double *seconds,
                        hn_error *err) HN_MUST_CHECK;

/* Runs any program to its end and wants exit status 0; `output` (may be NULL; initialised by the caller) gets its standard output.
 * *seconds (may be NULL): its whole life. */
hn_status hn_peer_run(const char *const *argv, hn_buf *output, double *seconds, hn_error *err) HN_MUST_CHECK;

#endif
