/* A provider that follows a script, for tests of what stands above the engine: answers are a function of the prompt's text, come a few a
 * step and in reverse order, and every call is counted.
 *
 *     hn_fake_script script = {.score = score, .per_step = 3};
 *     hn_provider *p = hn_fake_provider(&script);
 *     ... script.n_submitted ...
 *     hn_provider_close(p);
 *
 * Ownership: the script must outlive the provider. Threading: one thread. */
#ifndef HN_TESTS_FAKE_PROVIDER_H
#define HN_TESTS_FAKE_PROVIDER_H

#include "provider/provider.h"

typedef struct hn_fake_script {
    double (*score)(const char *prompt, const char *label); /* log-likelihood; NULL: from a hash of both */
    void (*write)(const char *prompt, const hn_request *r, char out[256]); /* generated text; NULL: "" */
    hn_status (*fail)(const char *prompt);                                 /* NULL: never */
    int per_step;                                                          /* completions a step; 0: 1 */
    int step_ms;                                                           /* how long a step takes */
    const char *numeric_path;                                              /* NULL: "fake" */
    const char *model_hash;                                                /* NULL: "f00d" */
    size_t n_submitted, n_completed, n_cancelled;                          /* counted */
} hn_fake_script;

hn_provider *hn_fake_provider(hn_fake_script *script);
/* The text a request comes to: raw, or the messages' contents one a line, then the assistant prefix. Free with hn_free. */
char *hn_fake_prompt_text(const hn_request *request);

#endif
