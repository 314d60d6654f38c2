/* Running llama.cpp's tools; see bench_peer.h. The tools' options and the fields read are those of the release that bench/README.md
 * names; a later one that prints something else gets an error with what it printed, never a wrong figure. */
#include "cli/bench_peer.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/str.h"
#include "format/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 15 * 60 * 1000, OUTPUT_MAX = 4 << 20, SAID_MAX = 300, NUMBER = 16 };

/* --- finding --- */

static bool is_program(const char *path) { return !hn_file_is_dir(path) && access(path, X_OK) == 0; }

static hn_status find_tool(const char *folder, const char *name, char out[HN_PATH_MAX], hn_error *err) {
    static const char *const places[] = {"bin", "build/bin", "."};
    char place[HN_PATH_MAX];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        HN_TRY(hn_path_join(place, folder, places[i], err));
        HN_TRY(hn_path_join(out, place, name, err));
        if (is_program(out)) return HN_OK;
    }
    return hn_fail(err, HN_ERR_NOT_FOUND, folder, "build llama.cpp's tools; bench/README.md has the commands",
                   "%s is neither here nor in bin or build/bin", name);
}

static int by_size(const void *a, const void *b) {
    int64_t x = hn_file_size(a), y = hn_file_size(b);
    return x != y ? (x > y) - (x < y) : strcmp(a, b);
}

static hn_status find_files(hn_peer *peer, const char *folder, hn_error *err) {
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    hn_status st = HN_OK;
    if (!dir) return HN_OK;
    while (st == HN_OK && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || !hn_ends_with(entry->d_name, ".gguf")) continue;
        if (peer->n_files == HN_PEER_FILES_MAX)
            st = hn_fail(err, HN_ERR_LIMIT, folder, "name one of them with -m", "there are more than %d model files",
                         HN_PEER_FILES_MAX);
        else
            st = hn_path_join(peer->files[peer->n_files++], folder, entry->d_name, err);
    }
    closedir(dir);
    return st;
}

hn_status hn_peer_find(const char *folder, bool streams, hn_peer *peer, hn_error *err) {
    char models[HN_PATH_MAX];
    *peer = (hn_peer){0};
    if (!hn_file_is_dir(folder))
        return hn_fail(err, HN_ERR_NOT_FOUND, folder,
                       "give the folder with llama.cpp's tools; bench/README.md says how to get them",
                       "there is no such folder");
    HN_TRY(find_tool(folder, "llama-bench", peer->bench, err));
    if (streams) HN_TRY(find_tool(folder, "llama-batched-bench", peer->batched, err));
    HN_TRY(find_tool(folder, "llama-completion", peer->completion, err));
    HN_TRY(hn_path_join(models, folder, "models", err));
    HN_TRY(find_files(peer, models, err));
    if (peer->n_files == 0) HN_TRY(find_files(peer, folder, err));
    qsort(peer->files, (size_t)peer->n_files, sizeof *peer->files, by_size);
    return HN_OK;
}

/* --- running --- */

/* The end of what a program said, on one line, for an error. */
static void last_words(const hn_process_result *r, char out[SAID_MAX]) {
    const hn_buf *said = r->errors.len ? &r->errors : &r->output;
    const char *text = hn_buf_str(said);
    size_t n = said->len;
    while (n && (unsigned char)text[n - 1] <= ' ') n--;
    size_t from = n >= SAID_MAX ? n - SAID_MAX + 1 : 0;
    for (size_t i = from; i < n; i++) out[i - from] = (unsigned char)text[i] < ' ' ? ' ' : text[i];
    out[n - from] = 0;
}

hn_status hn_peer_run(const char *const *argv, hn_buf *output, double *seconds, hn_error *err) {
    hn_process process = {.argv = argv, .timeout_ms = TIMEOUT_MS, .max_output_bytes = OUTPUT_MAX};
    hn_process_result r;
    char said[SAID_MAX];
    double start = hn_clock_seconds();
    HN_TRY(hn_process_run(&process, &r, err));
    if (seconds) *seconds = hn_clock_seconds() - start;
    hn_status st = HN_OK;
    if (r.exit_status != 0) {
        last_words(&r, said);
        st = hn_fail(err, HN_ERR_INPUT, argv[0], "run it by hand to see what is wrong with it",
                     "it ended with exit status %d: %s", r.exit_status, *said ? said : "(it said nothing)");
    } else if (output) {
        hn_buf_append(output, hn_buf_str(&r.output), r.output.len);
        st = hn_buf_check(output, argv[0], err);
    }
    hn_process_result_free(&r);
    return st;
}

static hn_status not_understood(const char *tool, const char *what, hn_error *err) {
    return hn_fail(err, HN_ERR_INPUT, tool, "take the release of llama.cpp that bench/README.md names",
                   "its output is not understood: %s", what);
}

/* --- llama-bench --- */

static void keep_facts(hn_peer *peer, const json_t *row) {
    const char *commit = json_string_value(json_object_get(row, "build_commit"));
    const char *cpu = json_string_value(json_object_get(row, "cpu_info"));
    long long number = json_integer_value(json_object_get(row, "build_number"));
    snprintf(peer->build, sizeof peer->build, "%s (build %lld)", commit ? commit : "unknown", number);
    snprintf(peer->cpu_name, sizeof peer->cpu_name, "%s", cpu ? cpu : "");
}

/* [{"n_prompt": 512, "n_gen": 0, "samples_ts": [410.1, ...], ...}] */
static hn_status read_samples(hn_peer *peer, const json_t *list, int n_prompt, int n_gen, double *rates, int n_rounds,
                              hn_error *err) {
    const json_t *row = json_array_get(list, 0), *samples = json_object_get(row, "samples_ts");
    if (json_array_size(list) != 1) return not_understood(peer->bench, "not an array of one measurement", err);
    if (json_integer_value(json_object_get(row, "n_prompt")) != n_prompt ||
        json_integer_value(json_object_get(row, "n_gen")) != n_gen)
        return not_understood(peer->bench, "n_prompt and n_gen are not those asked for", err);
    if (json_integer_value(json_object_get(row, "n_threads")) != peer->n_threads)
        return not_understood(peer->bench, "n_threads is not what was asked for", err);
    if (json_array_size(samples) != (size_t)n_rounds)
        return not_understood(peer->bench, "samples_ts does not have a number for each repetition", err);
    for (int i = 0; i < n_rounds; i++) {
        rates[i] = json_number_value(json_array_get(samples, (size_t)i));
        if (!(rates[i] > 0)) return not_understood(peer->bench, "samples_ts has something that is no rate", err);
    }
    keep_facts(peer, row);
    return HN_OK;
}

static hn_status run_bench(hn_peer *peer, const char *file, int n_prompt, int n_gen, double *rates, int n_rounds,
                           hn_error *err) {
    char prompt[NUMBER], gen[NUMBER], rounds[NUMBER], threads[NUMBER];
    snprintf(prompt, sizeof prompt, "%d", n_prompt);
    snprintf(gen, sizeof gen, "%d", n_gen);
    snprintf(rounds, sizeof rounds, "%d", n_rounds);
    snprintf(threads, sizeof threads, "%d", peer->n_threads);
    /* One round of a long prompt needs no other before it. */
    const char *argv[] = {peer->bench, "-m", file, "-t",   threads, "-p",   prompt,
                          "-n",        gen,  "-r", rounds, "-o",    "json", n_rounds == 1 ? "--no-warmup" : NULL,
                          NULL};
    hn_buf output;
    json_t *list = NULL;
    hn_buf_init(&output, OUTPUT_MAX);
    hn_status st = hn_peer_run(argv, &output, NULL, err);
    if (st == HN_OK && hn_json_parse(hn_buf_str(&output), output.len, peer->bench, 0, &list, NULL) != HN_OK)
        st = not_understood(peer->bench, "-o json printed no JSON", err);
    if (st == HN_OK) st = read_samples(peer, list, n_prompt, n_gen, rates, n_rounds, err);
    json_decref(list);
    hn_buf_free(&output);
    return st;
}

hn_status hn_peer_prefill(hn_peer *peer, const char *file, int n, double *rates, int n_rounds, hn_error *err) {
    return run_bench(peer, file, n, 0, rates, n_rounds, err);
}

hn_status hn_peer_decode(hn_peer *peer, const char *file, int n, double *rates, int n_rounds, hn_error *err) {
    return run_bench(peer, file, 0, n, rates, n_rounds, err);
}

/* --- llama-batched-bench --- */

/* The one line of its output that starts with a brace. */
static hn_status read_streams(const char *tool, const char *text, int n_streams, double *prompt_rate, double *step_rate,
                              hn_error *err) {
    const char *line = *text == '{' ? text : strstr(text, "\n{");
    if (line && *line == '\n') line++;
    json_t *row = NULL;
    if (!line || hn_json_parse(line, strcspn(line, "\n"), tool, 0, &row, NULL) != HN_OK)
        return not_understood(tool, "--output-format jsonl printed no line of JSON", err);
    bool asked = json_integer_value(json_object_get(row, "pl")) == n_streams;
    *prompt_rate = json_number_value(json_object_get(row, "speed_pp"));
    *step_rate = json_number_value(json_object_get(row, "speed_tg"));
    json_decref(row);
    if (asked && *prompt_rate > 0 && *step_rate > 0) return HN_OK;
    return not_understood(tool, "pl, speed_pp or speed_tg is missing or not what was asked for", err);
}

hn_status hn_peer_streams(hn_peer *peer, const char *file, int n_streams, int n_prompt, int n_steps,
                          double *prompt_rate, double *step_rate, hn_error *err) {
    char streams[NUMBER], prompt[NUMBER], steps[NUMBER], threads[NUMBER], context[NUMBER];
    snprintf(streams, sizeof streams, "%d", n_streams);
    snprintf(prompt, sizeof prompt, "%d", n_prompt);
    snprintf(steps, sizeof steps, "%d", n_steps);
    snprintf(threads, sizeof threads, "%d", peer->n_threads);
    snprintf(context, sizeof context, "%d", n_streams * (n_prompt + n_steps));
    const char *argv[] = {peer->batched, "-m",  file,   "-t",    threads,           "-c",    context, "-npp", prompt,
                          "-ntg",        steps, "-npl", streams, "--output-format", "jsonl", NULL};
    hn_buf output;
    hn_buf_init(&output, OUTPUT_MAX);
    hn_status st = hn_peer_run(argv, &output, NULL, err);
    if (st == HN_OK) st = read_streams(peer->batched, hn_buf_str(&output), n_streams, prompt_rate, step_rate, err);
    hn_buf_free(&output);
    return st;
}

/* --- llama-completion --- */

static hn_status complete(hn_peer *peer, const char *file, const char *prompt, int n, hn_buf *text, double *seconds,
                          hn_error *err) {
    char count[NUMBER], threads[NUMBER];
    snprintf(count, sizeof count, "%d", n);
    snprintf(threads, sizeof threads, "%d", peer->n_threads);
    const char *argv[] = {peer->completion,
                          "-m",
                          file,
                          "-p",
                          prompt,
                          "-n",
                          count,
                          "-t",
                          threads,
                          "--temp",
                          "0",
                          "-no-cnv",
                          "--no-warmup",
                          "--no-display-prompt",
                          "--simple-io",
                          NULL};
    return hn_peer_run(argv, text, seconds, err);
}

hn_status hn_peer_text(hn_peer *peer, const char *file, const char *prompt, int n, hn_buf *text, hn_error *err) {
    static const char end_mark[] = "[end of text]";
    HN_TRY(complete(peer, file, prompt, n, text, NULL, err));
    size_t len = text->len;
    while (len && (unsigned char)text->data[len - 1] <= ' ') len--;
    if (len >= strlen(end_mark) && memcmp(text->data + len - strlen(end_mark), end_mark, strlen(end_mark)) == 0)
        len -= strlen(end_mark);
    while (len && (unsigned char)text->data[len - 1] <= ' ') len--;
    hn_buf_truncate(text, len);
    return HN_OK;
}

hn_status hn_peer_start(hn_peer *peer, const char *file, const char *prompt, double *seconds, hn_error *err) {
    return complete(peer, file, prompt, 1, NULL, seconds, err);
}
