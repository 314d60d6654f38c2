/* hone chat: a conversation. Each turn is one request with all messages so far; what was computed for the turns before is shared. */
#include "base/interrupt.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/constraint_cli.h"
#include "cli/inference.h"
#include "cli/line_input.h"

#include <string.h>

typedef struct talk {
    hn_cli *cli;
    hn_provider *provider;
    json_t *messages;
    int context;
    hn_usage usage; /* of the last turn */
    bool at_line_start, terminal;
    hn_buf answer;         /* before its tool calls */
    json_t *tool_calls;    /* of the last answer; NULL: none */
    json_t *parsed;        /* of the last answer; NULL: its shape was not given */
    hn_request shape;      /* constraint and tools of every turn */
    hn_cli_constraint own; /* what they borrow from */
    hn_finish finish;
    bool remote; /* an endpoint, whose API has no repetition penalty: ours is used only where it was asked for */
} talk;

static bool on_token(void *user, const hn_output_token *token) {
    talk *t = user;
    if (token->n_bytes && !t->cli->out->json) {
        t->at_line_start = token->text[token->n_bytes - 1] == '\n';
        if (!hn_output_stream(token->text, token->n_bytes)) return false;
    }
    return !hn_interrupted();
}

static void on_done(void *user, uint64_t ticket, const hn_completion *c) {
    talk *t = user;
    (void)ticket;
    t->usage = c->usage;
    t->finish = c->finish;
    hn_buf_clear(&t->answer);
    hn_buf_append(&t->answer, c->text, c->tool_calls ? c->content_bytes : c->text_bytes);
    json_decref(t->tool_calls);
    json_decref(t->parsed);
    t->tool_calls = json_incref(c->tool_calls);
    t->parsed = hn_cli_parsed(&t->own, c);
}

static hn_status add_message(talk *t, const char *role, const char *text, size_t n, bool first, hn_error *err) {
    json_t *message = json_pack("{s:s,s:o}", "role", role, "content", hn_cli_text(text, n));
    int failed = first ? json_array_insert_new(t->messages, 0, message) : json_array_append_new(t->messages, message);
    return failed ? hn_fail_memory(err, n) : HN_OK;
}

/* The answer as a message of the conversation; the template writes its calls in the model's own notation when the next turn comes. */
static hn_status add_answer(talk *t, hn_error *err) {
    HN_TRY(add_message(t, "assistant", hn_buf_str(&t->answer), t->answer.len, false, err));
    json_t *last = json_array_get(t->messages, json_array_size(t->messages) - 1);
    if (t->tool_calls && json_object_set(last, "tool_calls", t->tool_calls) != 0) return hn_fail_memory(err, 0);
    return HN_OK;
}

static void drop_last(talk *t) { json_array_remove(t->messages, json_array_size(t->messages) - 1); }

static void show_room(talk *t) {
    hn_output *out = t->cli->out;
    int used = t->usage.prompt_tokens + t->usage.completion_tokens;
    if (!t->terminal) return;
    if (t->context == 0) {
        hn_output_print(out, "%s[%d tokens used%s]%s\n", hn_output_style(out, HN_STYLE_DIM), used,
                        t->finish == HN_FINISH_CANCELLED ? "; stopped" : "", hn_output_style(out, HN_STYLE_NONE));
        return;
    }
    hn_output_print(out, "%s[%d of %d tokens used, %d left%s]%s\n", hn_output_style(out, HN_STYLE_DIM), used,
                    t->context, t->context - used,
                    t->finish == HN_FINISH_CANCELLED ? "; stopped"
                    : t->finish == HN_FINISH_LENGTH  ? "; cut at --max-tokens or the window's end"
                                                     : "",
                    hn_output_style(out, HN_STYLE_NONE));
}

static hn_request make_request(talk *t) {
    hn_cli *cli = t->cli;
    bool penalty = !t->remote || hn_cli_given(cli, "repetition-penalty");
    return (hn_request){.kind = HN_REQUEST_GENERATE,
                        .messages = t->messages,
                        .tools = t->shape.tools,
                        .tool_choice = t->shape.tool_choice,
                        .constraint = t->shape.constraint,
                        .max_tokens = (int)hn_cli_int(cli, "max-tokens"),
                        .sampling = {.temperature = (float)hn_cli_real(cli, "temperature"),
                                     .top_p = (float)hn_cli_real(cli, "top-p"),
                                     .repetition_penalty = penalty ? (float)hn_cli_real(cli, "repetition-penalty") : 1,
                                     .seed = (uint64_t)hn_cli_int(cli, "seed") + json_array_size(t->messages)},
                        .on_token = on_token,
                        .token_user = t};
}

/* One user message and its answer. An answer that was stopped stays in the conversation as far as it came; a turn that failed leaves it
 * as it was. */
static hn_status take_turn(talk *t, const char *text, hn_error *err) {
    HN_TRY(add_message(t, "user", text, strlen(text), false, err));
    hn_request request = make_request(t);
    t->at_line_start = true;
    hn_status st = hn_cli_complete(t->provider, &request, on_done, t, err);
    if (!t->at_line_start) hn_output_print(t->cli->out, "\n");
    bool stopped = st == HN_ERR_INTERRUPTED;
    if (stopped && t->terminal) hn_interrupt_clear();
    if (st != HN_OK) {
        drop_last(t);
        return stopped && t->terminal ? HN_OK : st;
    }
    st = hn_buf_check(&t->answer, "the answer", err);
    if (st == HN_OK) st = add_answer(t, err);
    if (st != HN_OK) return st;
    if (hn_interrupted() && !t->terminal) return hn_interrupt_check(err);
    hn_interrupt_clear();
    show_room(t);
    return HN_OK;
}

static const char help_text[] = "/system TEXT   set the system message (alone: show it)\n"
                                "/reset         forget the conversation, keep the system message\n"
                                "/help          this help\n"
                                "/quit          end (or Ctrl-D); Ctrl-C stops an answer\n"
                                "A line that ends with \\ goes on in the next one.\n";

static json_t *system_message(const talk *t) {
    json_t *first = json_array_get(t->messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    return role && strcmp(role, "system") == 0 ? first : NULL;
}

static hn_status set_system(talk *t, const char *text, hn_error *err) {
    json_t *old = system_message(t);
    if (!*text) {
        hn_output_print(t->cli->out, "%s\n",
                        old ? json_string_value(json_object_get(old, "content"))
                            : "There is no system message of yours.");
        return HN_OK;
    }
    if (old) json_array_remove(t->messages, 0);
    HN_TRY(add_message(t, "system", text, strlen(text), true, err));
    hn_output_print(t->cli->out, "From here on the system message is: %s\n", text);
    return HN_OK;
}

static hn_status reset(talk *t) {
    size_t keep = system_message(t) ? 1 : 0;
    while (json_array_size(t->messages) > keep) drop_last(t);
    if (t->terminal) hn_output_print(t->cli->out, "The conversation starts anew.\n");
    return HN_OK;
}

/* A line that starts with a slash. *quits: the conversation ends. */
static hn_status run_slash(talk *t, const char *line, bool *quits, hn_error *err) {
    static const char *const names[] = {"/system", "/reset", "/help", "/quit", "/exit"};
    char word[32];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(line, " \t"), line);
    const char *rest = line + strlen(word);
    rest += strspn(rest, " \t");
    *quits = strcmp(word, "/quit") == 0 || strcmp(word, "/exit") == 0;
    if (*quits) return HN_OK;
    if (strcmp(word, "/system") == 0) return set_system(t, rest, err);
    if (strcmp(word, "/reset") == 0) return reset(t);
    if (strcmp(word, "/help") == 0) {
        hn_output_print(t->cli->out, "%s", help_text);
        return HN_OK;
    }
    const char *near = hn_closest(word, names, sizeof names / sizeof *names);
    return hn_fail(err, HN_ERR_USAGE, NULL, near ? near : "/help lists what there is", "there is no %s", word);
}

/* Reads one message, joining lines that end with a backslash. */
static hn_line_kind read_message(hn_line_input *input, hn_buf *message) {
    const char *line;
    hn_buf_clear(message);
    for (;;) {
        hn_line_kind kind = hn_line_input_next(input, &line);
        if (kind == HN_LINE_END && message->len) return HN_LINE_TEXT;
        if (kind != HN_LINE_TEXT) return kind;
        size_t n = strlen(line);
        bool more = n > 0 && line[n - 1] == '\\';
        hn_buf_append(message, line, n - more);
        if (!more) return HN_LINE_TEXT;
        hn_buf_append_char(message, '\n');
    }
}

/* An error of one turn does not end a conversation with a person; it does end one with a pipe. */
static hn_status say_error(talk *t, hn_status st, const hn_error *err) {
    bool goes_on = t->terminal && st != HN_ERR_MEMORY;
    if (st != HN_OK && goes_on) hn_output_error(t->cli->out, err);
    return goes_on ? HN_OK : st;
}

static hn_status converse(talk *t, hn_line_input *input, hn_error *err) {
    hn_buf message;
    hn_status st = HN_OK;
    bool quits = false;
    hn_buf_init(&message, 16 << 20);
    while (st == HN_OK && !quits) {
        hn_line_kind kind = read_message(input, &message);
        if (kind == HN_LINE_END) break;
        if (kind == HN_LINE_CANCELLED && !t->terminal) st = hn_interrupt_check(err);
        if (kind == HN_LINE_CANCELLED) continue;
        const char *text = hn_buf_str(&message);
        if (text[strspn(text, " \t\n")] == 0) continue;
        st = hn_buf_check(&message, "a message", err);
        if (st == HN_OK) st = text[0] == '/' ? run_slash(t, text, &quits, err) : take_turn(t, text, err);
        st = say_error(t, st, err);
    }
    hn_buf_free(&message);
    if (st == HN_OK && t->terminal) hn_output_print(t->cli->out, "\n");
    return st;
}

static hn_status start(talk *t, hn_line_input *input, hn_error *err) {
    hn_provider_info info;
    const char *system = hn_cli_string(t->cli, "system");
    HN_TRY(hn_provider_info_get(t->provider, &info, err));
    if (!info.generates_only && (!info.model || !hn_model_chat_template(info.model)))
        return hn_fail(err, HN_ERR_TEMPLATE, info.name, "use `hone complete --raw`", "the model has no chat template");
    t->context = info.context;
    t->terminal = hn_line_input_is_terminal(input) && !t->cli->out->json;
    if (system) HN_TRY(add_message(t, "system", system, strlen(system), true, err));
    t->remote = info.generates_only;
    if (t->terminal && t->context == 0)
        hn_output_print(t->cli->out, "%s. /help lists what you can do; Ctrl-D ends.\n", info.name);
    else if (t->terminal)
        hn_output_print(t->cli->out, "%s, a window of %d tokens. /help lists what you can do; Ctrl-D ends.\n",
                        info.name, info.context);
    return HN_OK;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_line_input *input = NULL;
    talk t = {.cli = cli, .messages = json_array()};
    hn_buf_init(&t.answer, 0);
    hn_status st = t.messages ? hn_cli_read_constraint(cli, &t.own, &t.shape, err) : hn_fail_memory(err, 0);
    if (st == HN_OK) st = hn_cli_open_model(cli, &t.provider, err);
    if (st == HN_OK) st = hn_line_input_open("chat", "> ", &input, err);
    if (st == HN_OK) st = start(&t, input, err);
    if (st == HN_OK) st = converse(&t, input, err);
    hn_line_input_close(input);
    int used = t.usage.prompt_tokens + t.usage.completion_tokens;
    if (st == HN_OK && cli->out->json)
        st = hn_cli_result(cli,
                           json_pack("{s:O,s:O*,s:o,s:i,s:i}", "messages", t.messages, "parsed", t.parsed, "usage",
                                     hn_cli_usage_json(&t.usage), "context", t.context, "left", t.context - used),
                           err);
    json_decref(t.messages);
    json_decref(t.tool_calls);
    json_decref(t.parsed);
    hn_cli_constraint_free(&t.own);
    hn_buf_free(&t.answer);
    hn_provider_close(t.provider);
    return st;
}

static const hn_option options[] = {
    HN_MODEL_OPTIONS,
    {.name = "system", .kind = HN_OPTION_STRING, .value = "TEXT", .help = "system message"},
    HN_CONSTRAINT_OPTIONS,
    {.name = "max-tokens",
     .letter = 'n',
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "512",
     .low = 1,
     .high = 1 << 24,
     .help = "tokens of one answer at most"},
    {.name = "temperature",
     .kind = HN_OPTION_REAL,
     .value = "T",
     .otherwise = "0.2",
     .low = 0,
     .high = 100,
     .help = "0 takes the most likely token"},
    {.name = "top-p",
     .kind = HN_OPTION_REAL,
     .value = "P",
     .otherwise = "0.9",
     .low = 0,
     .high = 1,
     .help = "sample among the most likely that make up P"},
    {.name = "repetition-penalty",
     .kind = HN_OPTION_REAL,
     .value = "R",
     .otherwise = "1.1",
     .low = 0.01,
     .high = 100,
     .help = "above 1 makes recent tokens less likely"},
    {.name = "seed",
     .kind = HN_OPTION_INT,
     .value = "N",
     .otherwise = "0",
     .help = "the same seed gives the same answers"},
    {0}};

const hn_command hn_cmd_chat = {
    .name = "chat",
    .summary = "talk with a model",
    .usage = "[-m MODEL] [--system TEXT] [OPTIONS]",
    .description = "At the prompt: /system TEXT, /reset, /help, /quit. Ctrl-C stops an answer. From a pipe, each line "
                   "is a message.",
    .options = options,
    .max_args = 0,
    .examples = "  hone chat\n  printf 'Hello\\nAnd again\\n' | hone chat --system \"Answer in one word.\"",
    .run = run};
