/* hone render: a chat template run on messages, without a model. */
#include "base/str.h"
#include "cli/commands.h"
#include "cli/inference.h"
#include "format/json.h"
#include "model/chat.h"

#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 16 << 20 };

/* Days from 1970-01-01 of a date of the Gregorian calendar (Howard Hinnant's days_from_civil). */
static int64_t days_of(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool parse_time(const char *text, int64_t *now) {
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day, hour = 0, minute = 0, second = 0, used = 0, date_used = 0;
    if (hn_parse_int64(text, now)) return true;
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &date_used) != 3) return false;
    const char *rest = text + date_used;
    if (*rest == 'T' || *rest == ' ') {
        if (sscanf(rest + 1, "%2d:%2d:%2d%n", &hour, &minute, &second, &used) != 3) return false;
        rest += 1 + used;
    }
    if (*rest == 'Z') rest++;
    if (*rest || month < 1 || month > 12 || day < 1 || day > month_days[month - 1] || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 59)
        return false;
    *now = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

static hn_status read_template(const char *path, hn_jinja **jinja, hn_error *err) {
    char *text;
    size_t n;
    HN_TRY(hn_file_read(path, FILE_BYTES_MAX, &text, &n, err));
    hn_status st = hn_jinja_compile(text, n, path, jinja, err);
    hn_free(text);
    return st;
}

static hn_status read_json(hn_cli *cli, const char *option, bool object, json_t **value, hn_error *err) {
    const char *path = hn_cli_string(cli, option);
    *value = NULL;
    if (!path) return HN_OK;
    HN_TRY(hn_json_read(path, FILE_BYTES_MAX, HN_JSON_ANY, value, err));
    if (json_is_null(*value) && !object) return HN_OK;
    if (object ? json_is_object(*value) : json_is_array(*value)) return HN_OK;
    hn_fail(err, HN_ERR_INPUT, path, NULL, "it must hold %s, it is %s", object ? "an object" : "an array",
            hn_json_type_text(*value));
    json_decref(*value);
    *value = NULL;
    return HN_ERR_INPUT;
}

static hn_status render(hn_cli *cli, const hn_jinja *jinja, json_t *messages, const hn_chat_options *options,
                        hn_error *err) {
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_status st = hn_chat_render(jinja, messages, options, &text, NULL, err);
    if (st == HN_OK) st = hn_buf_check(&text, "the rendering", err);
    if (st == HN_OK && cli->out->json)
        st = hn_cli_result(cli, json_pack("{s:o}", "text", hn_cli_text(text.data, text.len)), err);
    else if (st == HN_OK)
        (void)hn_output_stream(hn_buf_str(&text), text.len);
    hn_buf_free(&text);
    return st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    hn_jinja *jinja = NULL;
    json_t *messages = NULL, *tools = NULL, *vars = NULL;
    hn_chat_options options = {.add_generation_prompt = hn_cli_flag(cli, "add-generation-prompt"),
                               .has_now = hn_cli_given(cli, "now")};
    if (!hn_cli_given(cli, "template") || !hn_cli_given(cli, "messages"))
        return hn_cli_usage(cli, err, "--template and --messages are needed");
    if (options.has_now && !parse_time(hn_cli_string(cli, "now"), &options.now))
        return hn_cli_usage(cli, err,
                            "--now needs a time such as 2024-07-26T12:34:56 or seconds since 1970, not \"%s\"",
                            hn_cli_string(cli, "now"));
    hn_status st = read_template(hn_cli_string(cli, "template"), &jinja, err);
    if (st == HN_OK) st = read_json(cli, "messages", false, &messages, err);
    if (st == HN_OK) st = read_json(cli, "tools", false, &tools, err);
    if (st == HN_OK) st = read_json(cli, "vars", true, &vars, err);
    options.tools = json_is_null(tools) ? NULL : tools;
    options.extra = vars;
    if (st == HN_OK) st = render(cli, jinja, messages, &options, err);
    json_decref(messages);
    json_decref(tools);
    json_decref(vars);
    hn_jinja_free(jinja);
    return st;
}

static const hn_option options[] = {
    {.name = "template", .kind = HN_OPTION_STRING, .value = "FILE", .help = "the chat template (Jinja)"},
    {.name = "messages",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "messages as JSON: [{\"role\": ..., \"content\": ...}, ...]"},
    {.name = "tools", .kind = HN_OPTION_STRING, .value = "FILE", .help = "tools as a JSON array"},
    {.name = "vars",
     .kind = HN_OPTION_STRING,
     .value = "FILE",
     .help = "further variables as a JSON object: bos_token, eos_token, any other"},
    {.name = "now",
     .kind = HN_OPTION_STRING,
     .value = "TIME",
     .help = "what strftime_now tells, such as 2024-07-26T12:34:56 (default: the local time)"},
    {.name = "add-generation-prompt", .kind = HN_OPTION_FLAG, .help = "end with the start of the assistant's turn"},
    {0}};

const hn_command hn_cmd_render = {
    .name = "render",
    .summary = "run a chat template on messages",
    .usage = "--template FILE --messages FILE [OPTIONS]",
    .options = options,
    .max_args = 0,
    .examples = "  hone render --template chat.jinja --messages chat.json --add-generation-prompt",
    .run = run};
