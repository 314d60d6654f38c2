/* Any bytes as what an endpoint answers: the first byte says which API, whether it is a stream, and how the answer lies in it. It is read or refused;
 * what was read is text within its limit, calls in the OpenAI form, and counts that are not negative. */
#include "provider/remote_parts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(void *user, const hn_output_token *token) {
    *(size_t *)user += token->n_bytes;
    return true;
}

static void check(const hn_remote_reply *reply) {
    if (reply->usage.prompt_tokens < 0 || reply->usage.completion_tokens < 0) abort();
    if (reply->usage.cached_prompt_tokens > reply->usage.prompt_tokens) abort();
    for (size_t i = 0; i < json_array_size(reply->calls); i++) {
        const json_t *function = json_object_get(json_array_get(reply->calls, i), "function");
        if (!json_is_string(json_object_get(function, "name"))) abort();
        if (!json_is_string(json_object_get(function, "arguments"))) abort();
    }
    for (size_t i = 0; i < reply->n_tokens; i++)
        if (!reply->tokens[i].text) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const hn_remote_model model = {.name = "m", .model = "m"};
    size_t n_given = 0;
    bool again;
    hn_error err;
    if (size < 1) return 0;
    hn_remote p = {.model = &model, .dialect = data[0] & 1 ? &hn_anthropic_dialect : &hn_openai_dialect};
    hn_remote_request r = {.p = &p, .on_token = take, .token_user = &n_given};
    r.plan = (hn_remote_plan){.stream = data[0] & 2,
                              .wrapped = data[0] & 4,
                              .as_text = data[0] & 8,
                              .by_tool = data[0] & 16,
                              .embeds = data[0] & 32};
    r.result = (hn_http_result){.http_status = data[0] & 64 ? 429 : 200};
    hn_buf_init(&r.received, HN_REMOTE_TEXT_MAX);
    hn_sse_init(&r.sse, HN_REMOTE_EVENT_MAX);
    if (hn_remote_reply_init(&r.reply, &err) != HN_OK) return 0;
    bool goes_on = true;
    for (size_t i = 1; i < size && goes_on; i += 5) {
        size_t n = size - i < 5 ? size - i : 5;
        hn_buf_append(&r.received, data + i, n);
        if (r.plan.stream) goes_on = hn_remote_reply_stream(&r, (const char *)data + i, n);
    }
    if (goes_on && r.result.http_status == 200) {
        if (hn_remote_reply_finish(&r, &again, &err) == HN_OK) check(&r.reply);
    } else {
        (void)hn_remote_explain(&r, &again, &err);
    }
    hn_buf_free(&r.received);
    hn_sse_free(&r.sse);
    hn_remote_reply_free(&r.reply);
    return 0;
}
