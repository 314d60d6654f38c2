/* Completions on their way through the engine: what api_generate.c read from a request, and generate_call.c answers.
 *
 *     hn_generate *g = hn_calloc(1, sizeof *g);
 *     hn_generate_init(g, c, chat);                         // then its fields are filled
 *     hn_api_hand_over(c, &g->base);
 *
 * One request of the API is n_prompts * n requests of the provider. A stream's pieces go out as tokens come; where the answer may be a tool call its text is held
 * back until it is whole, since no part of a call may be shown as text. Ownership: the call owns all it points to. Threading: filled on the event
 * thread, then the engine thread's. */
#ifndef HN_SERVE_GENERATE_CALL_H
#define HN_SERVE_GENERATE_CALL_H

#include "serve/server_parts.h"

enum { HN_GENERATE_STOPS_MAX = 16, HN_GENERATE_ANSWERS_MAX = 128 };

struct hn_generate;

/* One of the answers. */
typedef struct hn_generate_choice {
    struct hn_generate *call;
    int index;
    uint64_t ticket;
    bool in_provider;
    json_t *json;  /* whole answers: the choice; NULL until it is there */
    bool said;     /* streams: its first piece went out */
    size_t offset; /* completions: bytes of text so far, for text_offset */
} hn_generate_choice;

/* One prompt of a completions request; a chat has one, of messages. */
typedef struct hn_generate_prompt {
    const char *text; /* borrowed from `body` */
    hn_tokens ids;
} hn_generate_prompt;

typedef struct hn_generate {
    hn_call base;
    hn_server *server;
    hn_served_model *model;
    json_t *body; /* what texts are borrowed from */
    bool chat, stream, want_usage, echo, logprobs;
    json_t *messages, *tools, *schema, *variables;
    const char *tool_choice;
    const char *stops[HN_GENERATE_STOPS_MAX];
    size_t n_stops;
    hn_logit_bias *biases;
    hn_generate_prompt *prompts; /* (n_prompts) */
    size_t n_prompts;
    int n;                       /* answers for each */
    hn_request request;          /* the rest of what each is asked */
    hn_generate_choice *choices; /* (n_prompts * n) */
    size_t n_choices, n_done;
    hn_usage usage;
    int64_t created;
    double deadline;
    hn_api_error failure; /* the first answer that could not be given */
} hn_generate;

void hn_generate_init(hn_generate *g, hn_api_context *c, bool chat);
void hn_generate_free(hn_call *call);

/* api_messages.c */
/* Messages of the OpenAI API as templates want them: lists of text parts become texts, `developer` becomes `system`. New reference; NULL: an error is kept. */
json_t *hn_api_messages(const json_t *messages, hn_api_error *e);
/* The tools, checked; new reference. */
json_t *hn_api_tools(const json_t *tools, hn_api_error *e);
/* "auto", "none", "required" or a name; borrowed. NULL: not given. */
const char *hn_api_tool_choice(const json_t *body, const json_t *tools, hn_api_error *e);
/* The schema that `response_format` asks for; new reference, NULL: text. */
json_t *hn_api_response_format(const json_t *body, hn_api_error *e);

#endif
