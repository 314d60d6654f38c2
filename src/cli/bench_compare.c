/* Hone beside llama.cpp: for each model file, greedy texts compared first, then each kind of work timed by both in turns, so that a change
 * of the machine's clock meets both; medians over all rounds of all turns, the ratio, and the machine's limit beside them.
 *
 * Surprise: both programs multiply the weights of an F32 file in f32, so such a file is judged against the machine's f32 peak. */
#include "cli/bench_compare.h"

#include "base/clock.h"
#include "base/str.h"
#include "cli/bench_peer.h"
#include "cli/bench_speed.h"
#include "cli/inference.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PREFILL = 512,
    LONG = 8192,
    DECODE = 64,
    STREAMS = 32,
    STREAM_PROMPT = 128,
    ROUNDS = 5,
    START_ROUNDS = 4,
    SAMPLES_MAX = 100, /* of a row: rounds of a turn times turns */
    ROWS_MAX = 6 * HN_PEER_FILES_MAX,
    TEXT_TOKENS = 24,
    TEXT_MAX = 1 << 16
};
#define NEAR_TIE 0.7 /* nat: two best tokens this near may change places with the arithmetic */

static const char *const prompts[] = {"The capital of France is", "Water boils at a temperature of",
                                      "Once upon a time there was a"};

typedef struct samples {
    double values[SAMPLES_MAX];
    int n;
} samples;

typedef struct row {
    const char *file, *work, *unit; /* file: its base name */
    char numeric_path[96];
    samples ours, theirs;
    double limit; /* of the machine, in the unit; 0: none is known */
} row;

typedef struct compare {
    hn_cli *cli;
    hn_engine_options options;
    hn_peer peer;
    int turns;
    bool prefill, decode, streams, longest, start;
    char self[HN_PATH_MAX]; /* this program */
    hn_machine machine, machine_f32;
    const char *isa;
    row *rows; /* (ROWS_MAX) */
    int n_rows;
    hn_progress progress;
    uint64_t done;
} compare;

/* --- figures --- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void add_sample(samples *s, double value) {
    if (s->n < SAMPLES_MAX) s->values[s->n++] = value;
}

static double median(samples *s) {
    if (s->n == 0) return 0;
    qsort(s->values, (size_t)s->n, sizeof *s->values, ascending);
    return s->n % 2 ? s->values[s->n / 2] : (s->values[s->n / 2 - 1] + s->values[s->n / 2]) / 2;
}

/* How many times faster hone is: rates divide one way, seconds the other. */
static double ratio(row *r) {
    double ours = median(&r->ours), theirs = median(&r->theirs);
    return strcmp(r->unit, "s") == 0 ? theirs / ours : ours / theirs;
}

static row *add_row(compare *c, const char *file, const char *work, const char *unit, const char *numeric_path) {
    row *r = &c->rows[c->n_rows++]; /* ROWS_MAX holds every row of every file */
    r->file = hn_path_base(file);
    r->work = work;
    r->unit = unit;
    snprintf(r->numeric_path, sizeof r->numeric_path, "%s", numeric_path);
    return r;
}

static void step_done(compare *c) { hn_progress_update(&c->progress, ++c->done); }

/* --- the same greedy text --- */

/* The likeliest token, and by how many nats it leads. */
static int32_t arg_max(const float *logits, int n, double *lead) {
    int best = 0;
    float second = -3.4e38f;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best]) {
            second = logits[best];
            best = i;
        } else if (logits[i] > second)
            second = logits[i];
    *lead = (double)logits[best] - (double)second;
    return best;
}

/* Whether `theirs` starts with the bytes of `ours`, both without blanks in front. The other program's last blanks are
 * lost: only a text that has come to the end of `theirs` may have more of them. */
static bool agrees(const hn_buf *ours, const char *theirs) {
    hn_str a = hn_str_trim((hn_str){hn_buf_str(ours), ours->len}), b = hn_str_trim(hn_str_of(theirs));
    if (a.len == 0) return true;
    size_t with_blanks = ours->len - (size_t)(a.data - hn_buf_str(ours));
    if (a.len < b.len) a.len = with_blanks;
    return a.len <= b.len && memcmp(a.data, b.data, a.len) == 0;
}

static hn_status disagree(const char *file, const char *prompt, int token, double lead, const hn_buf *ours,
                          const char *theirs, hn_error *err) {
    return hn_fail(
        err, HN_ERR_INPUT, file, "nothing was timed: times of two programs that compute different things say nothing",
        "the greedy texts after \"%s\" part at token %d, where hone's choice leads by %.2f nat: up to there \"%.80s\", "
        "llama.cpp in all \"%.80s\"",
        prompt, token + 1, lead, hn_buf_str(ours), theirs);
}

/* Whether some token within a near-tie of the likeliest goes on as the other program did; `ours` is the text before it. */
static hn_status is_near_tie(const hn_speed *s, float most, hn_buf *ours, const char *theirs, bool *is, hn_error *err) {
    const hn_tokenizer *t = hn_model_tokenizer(s->model);
    size_t before = ours->len, n = hn_str_trim(hn_str_of(theirs)).len;
    *is = false;
    for (int32_t id = 0; id < hn_model_shape(s->model)->n_vocab && !*is; id++) {
        if ((double)s->logits[id] < (double)most - NEAR_TIE) continue;
        if (hn_tokenizer_is_end(t, id)) {
            *is = hn_str_trim((hn_str){hn_buf_str(ours), before}).len == n;
            continue;
        }
        HN_TRY(hn_tokenizer_decode(t, &id, 1, false, false, ours, err));
        *is = agrees(ours, theirs);
        hn_buf_truncate(ours, before);
    }
    return HN_OK;
}

/* Goes on greedily from `sequence` until the texts part, hone's ends or all tokens are there. */
static hn_status follow_text(hn_speed *s, hn_sequence *sequence, const hn_tokens *ids, const char *file,
                             const char *prompt, const char *theirs, hn_buf *ours, hn_error *err) {
    const hn_tokenizer *t = hn_model_tokenizer(s->model);
    size_t n = hn_str_trim(hn_str_of(theirs)).len;
    int32_t id;
    hn_step_item item = {
        .sequence = sequence, .tokens = ids->ids, .n_tokens = (int)ids->n, .want = HN_WANT_LOGITS, .logits = s->logits};
    for (int i = 0; i < TEXT_TOKENS; i++) {
        double lead;
        bool near_tie;
        HN_TRY(hn_engine_step(s->engine, &item, 1, err));
        id = arg_max(s->logits, hn_model_shape(s->model)->n_vocab, &lead);
        size_t before = ours->len;
        bool ends = hn_tokenizer_is_end(t, id);
        if (!ends) HN_TRY(hn_tokenizer_decode(t, &id, 1, false, false, ours, err));
        bool same = ends ? hn_str_trim((hn_str){hn_buf_str(ours), before}).len == n : agrees(ours, theirs);
        if (!same) {
            float most = s->logits[id];
            hn_buf_truncate(ours, before);
            HN_TRY(is_near_tie(s, most, ours, theirs, &near_tie, err));
            return near_tie ? HN_OK : disagree(file, prompt, i, lead, ours, theirs, err);
        }
        if (ends) return HN_OK;
        item.tokens = &id;
        item.n_tokens = 1;
    }
    return HN_OK;
}

static hn_status check_prompt(compare *c, hn_speed *s, const char *file, const char *prompt, hn_error *err) {
    hn_tokens ids = {0};
    hn_buf ours, theirs;
    hn_sequence *sequence = NULL;
    hn_buf_init(&ours, TEXT_MAX);
    hn_buf_init(&theirs, TEXT_MAX);
    hn_status st = hn_peer_text(&c->peer, file, prompt, TEXT_TOKENS, &theirs, err);
    if (st == HN_OK)
        st = hn_tokenizer_encode(hn_model_tokenizer(s->model), prompt, strlen(prompt), HN_TOKENIZE_BOS, &ids, err);
    if (st == HN_OK) st = hn_sequence_create(s->engine, &sequence, err);
    if (st == HN_OK) st = follow_text(s, sequence, &ids, file, prompt, hn_buf_str(&theirs), &ours, err);
    hn_sequence_free(sequence);
    hn_tokens_free(&ids);
    hn_buf_free(&ours);
    hn_buf_free(&theirs);
    return st;
}

static hn_status check_texts(compare *c, hn_speed *s, const char *file, hn_error *err) {
    if (!hn_model_tokenizer(s->model))
        return hn_fail(err, HN_ERR_INPUT, file, "take a file with its vocabulary", "the model has no tokenizer");
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) HN_TRY(check_prompt(c, s, file, prompts[i], err));
    return HN_OK;
}

/* --- the rows of one file; each adds one turn of both programs --- */

static hn_status turn_prefill(compare *c, hn_speed *s, const char *file, row *r, int n, int rounds, hn_error *err) {
    double rates[ROUNDS], seconds;
    HN_TRY(hn_peer_prefill(&c->peer, file, n, rates, rounds, err));
    for (int i = 0; i < rounds; i++) add_sample(&r->theirs, rates[i]);
    if (rounds > 1) HN_TRY(hn_speed_prefill(s, n, &seconds, err)); /* warms up, as llama-bench does */
    for (int i = 0; i < rounds; i++) {
        HN_TRY(hn_speed_prefill(s, n, &seconds, err));
        add_sample(&r->ours, n / seconds);
    }
    r->limit = n / hn_speed_limit(s, n, 1, n / 2.0, 1);
    step_done(c);
    return HN_OK;
}

static hn_status turn_decode(compare *c, hn_speed *s, const char *file, row *r, hn_error *err) {
    double rates[ROUNDS], seconds;
    HN_TRY(hn_peer_decode(&c->peer, file, DECODE, rates, ROUNDS, err));
    for (int i = 0; i < ROUNDS; i++) add_sample(&r->theirs, rates[i]);
    HN_TRY(hn_speed_generate(s, 1, 0, 1, NULL, NULL, err));
    for (int i = 0; i < ROUNDS; i++) {
        HN_TRY(hn_speed_generate(s, 1, 0, DECODE, NULL, &seconds, err));
        add_sample(&r->ours, DECODE / seconds);
    }
    r->limit = 1 / hn_speed_limit(s, 1, 1, DECODE / 2.0, 1);
    step_done(c);
    return HN_OK;
}

static hn_status turn_streams(compare *c, hn_speed *s, const char *file, row *prompt, row *steps, hn_error *err) {
    double prompt_rate, step_rate, prompt_seconds, step_seconds;
    HN_TRY(hn_peer_streams(&c->peer, file, STREAMS, STREAM_PROMPT, DECODE, &prompt_rate, &step_rate, err));
    add_sample(&prompt->theirs, prompt_rate);
    add_sample(&steps->theirs, step_rate);
    HN_TRY(hn_speed_generate(s, STREAMS, STREAM_PROMPT, DECODE, &prompt_seconds, &step_seconds, err));
    add_sample(&prompt->ours, STREAMS * STREAM_PROMPT / prompt_seconds);
    add_sample(&steps->ours, STREAMS * DECODE / step_seconds);
    double rows = STREAMS * STREAM_PROMPT;
    prompt->limit = rows / hn_speed_limit(s, rows, STREAMS, STREAM_PROMPT / 2.0, STREAMS);
    steps->limit = STREAMS / hn_speed_limit(s, STREAMS, STREAMS, STREAM_PROMPT + DECODE / 2.0, STREAMS);
    step_done(c);
    return HN_OK;
}

static hn_status time_rates(compare *c, hn_speed *s, const char *file, hn_error *err) {
    const char *path = hn_engine_numeric_path(s->engine);
    int room = s->n_ids; /* a short context leaves rows out */
    row *prefill = c->prefill && room >= PREFILL ? add_row(c, file, "prefill 512", "tokens/s", path) : NULL;
    row *decode = c->decode && room >= DECODE ? add_row(c, file, "decode, one stream", "tokens/s", path) : NULL;
    row *prompt = c->streams && room >= STREAM_PROMPT + DECODE
                      ? add_row(c, file, "32 streams, prompts of 128", "tokens/s", path)
                      : NULL;
    row *steps = c->streams && room >= STREAM_PROMPT + DECODE
                     ? add_row(c, file, "32 streams, 64 steps", "tokens/s", path)
                     : NULL;
    row *longest = c->longest && room >= LONG ? add_row(c, file, "prefill 8192", "tokens/s", path) : NULL;
    for (int turn = 0; turn < c->turns; turn++) {
        HN_TRY(hn_speed_measure(s, err));
        if (prefill) HN_TRY(turn_prefill(c, s, file, prefill, PREFILL, ROUNDS, err));
        if (decode) HN_TRY(turn_decode(c, s, file, decode, err));
        if (prompt) HN_TRY(turn_streams(c, s, file, prompt, steps, err));
        if (longest) HN_TRY(turn_prefill(c, s, file, longest, LONG, 1, err));
    }
    return HN_OK;
}

/* Whole processes, hone's own too. */
static hn_status time_start(compare *c, const char *file, hn_error *err) {
    char threads[16];
    double seconds;
    snprintf(threads, sizeof threads, "%d", c->peer.n_threads);
    const char *argv[] = {c->self,        "complete", "-m",        file,    "--raw", prompts[0],
                          "--max-tokens", "1",        "--threads", threads, NULL};
    row *r = add_row(c, file, "start to first token", "s", ""); /* the default path, whatever it is */
    HN_TRY(hn_peer_run(argv, NULL, NULL, err)); /* both files of programs and the model are in memory then */
    HN_TRY(hn_peer_start(&c->peer, file, prompts[0], &seconds, err));
    for (int i = 0; i < c->turns * START_ROUNDS; i++) {
        HN_TRY(hn_peer_run(argv, NULL, &seconds, err));
        add_sample(&r->ours, seconds);
        HN_TRY(hn_peer_start(&c->peer, file, prompts[0], &seconds, err));
        add_sample(&r->theirs, seconds);
    }
    step_done(c);
    return HN_OK;
}

static hn_status compare_file(compare *c, const char *file, hn_error *err) {
    hn_speed *s;
    HN_TRY(hn_speed_open(file, &c->options, LONG, &s, err));
    hn_machine *machine = hn_model_shape(s->model)->main_dtype == HN_DTYPE_F32 ? &c->machine_f32 : &c->machine;
    hn_speed_better(&s->machine, machine); /* as earlier files found it */
    hn_status st = check_texts(c, s, file, err);
    if (st == HN_OK) st = time_rates(c, s, file, err);
    *machine = s->machine;
    hn_speed_close(s); /* or its memory would be in the way of the next figure */
    if (st == HN_OK && c->start) st = time_start(c, file, err);
    return st;
}

/* --- the result --- */

static json_t *side_json(samples *s) {
    double middle = median(s); /* sorts */
    return json_pack("{s:f,s:f,s:f,s:i}", "median", middle, "low", s->n ? s->values[0] : 0.0, "high",
                     s->n ? s->values[s->n - 1] : 0.0, "n", s->n);
}

static double limit_share(row *r) { return r->limit > 0 ? median(&r->ours) / r->limit : 0; }

static json_t *row_json(row *r) {
    json_t *limit = r->limit > 0 ? json_real(r->limit) : json_null();
    json_t *share = r->limit > 0 ? json_real(limit_share(r)) : json_null();
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:f,s:o,s:o,s:o}", "file", r->file, "work", r->work, "unit", r->unit, "hone",
                     side_json(&r->ours), "peer", side_json(&r->theirs), "ratio", ratio(r), "limit", limit,
                     "limit_share", share, "numeric_path",
                     *r->numeric_path ? json_string(r->numeric_path) : json_null());
}

static json_t *machine_json(const hn_machine *m) {
    if (!(m->flops_per_s > 0)) return json_null(); /* no file asked for it */
    return json_pack("{s:f,s:f}", "bytes_per_s", m->bytes_per_s, "flops_per_s", m->flops_per_s);
}

static hn_status print_json(compare *c, hn_error *err) {
    json_t *rows = json_array();
    for (int i = 0; i < c->n_rows; i++) json_array_append_new(rows, row_json(&c->rows[i]));
    return hn_cli_result(c->cli,
                         json_pack("{s:s,s:s,s:i,s:i,s:o,s:o,s:{s:s,s:s,s:s},s:o}", "version", HONE_VERSION, "isa",
                                   c->isa, "threads", c->peer.n_threads, "turns", c->turns, "machine",
                                   machine_json(&c->machine), "machine_f32", machine_json(&c->machine_f32), "peer",
                                   "name", "llama.cpp", "build", c->peer.build, "cpu", c->peer.cpu_name, "rows", rows),
                         err);
}

static const char *figure(const row *r, double value, char text[32]) {
    snprintf(text, 32, strcmp(r->unit, "s") == 0 ? "%.3f" : "%.0f", value);
    return text;
}

static void print_row(hn_table *table, row *r) {
    char ours[32], theirs[32], limit[32];
    hn_table_row(table);
    hn_table_cell(table, "%s", r->file);
    hn_table_cell(table, "%s, %s", r->work, r->unit);
    hn_table_cell(table, "%s", figure(r, median(&r->ours), ours));
    hn_table_cell(table, "%s", figure(r, median(&r->theirs), theirs));
    hn_table_cell(table, "%.2f x", ratio(r));
    hn_table_cell(table, "%s", r->limit > 0 ? figure(r, r->limit, limit) : "");
    if (r->limit > 0)
        hn_table_cell(table, "%.0f %%", 100 * limit_share(r));
    else
        hn_table_cell(table, " ");
}

static hn_status report(compare *c, hn_error *err) {
    if (c->cli->out->json) return print_json(c, err);
    hn_output_print(
        c->cli->out, "hone %s on %s, llama.cpp %s; %d threads, medians of %d turns; the same greedy text from both\n",
        HONE_VERSION, c->isa, *c->peer.build ? c->peer.build : "(build not asked)", c->peer.n_threads, c->turns);
    const hn_machine *both[] = {&c->machine, &c->machine_f32};
    for (int i = 0; i < 2; i++)
        if (both[i]->flops_per_s > 0)
            hn_output_print(c->cli->out, "the machine%s: memory %.0f GB/s, peak %.0f GFLOP/s\n", i ? " in f32" : "",
                            both[i]->bytes_per_s / 1e9, both[i]->flops_per_s / 1e9);
    hn_output_print(c->cli->out, "\n");
    hn_table *table = hn_table_create(c->cli->out);
    hn_table_column(table, "FILE", HN_ALIGN_LEFT);
    hn_table_column(table, "WORK", HN_ALIGN_LEFT);
    static const char *const numbers[] = {"HONE", "LLAMA.CPP", "RATIO", "LIMIT HERE", "OF LIMIT"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) hn_table_column(table, numbers[i], HN_ALIGN_RIGHT);
    for (int i = 0; i < c->n_rows; i++) print_row(table, &c->rows[i]);
    return hn_table_print(table, err);
}

/* --- the command --- */

/* "prefill,decode" */
static hn_status choose_rows(compare *c, hn_error *err) {
    const char *list = hn_cli_string(c->cli, "rows");
    const struct {
        const char *name;
        bool *flag;
    } known[] = {{"prefill", &c->prefill},
                 {"decode", &c->decode},
                 {"streams", &c->streams},
                 {"long", &c->longest},
                 {"start", &c->start}};
    while (*list) {
        size_t n = strcspn(list, ","), i = 0;
        while (i < sizeof known / sizeof *known && !hn_str_equal((hn_str){list, n}, hn_str_of(known[i].name))) i++;
        if (i == sizeof known / sizeof *known)
            return hn_cli_usage(c->cli, err, "--rows takes some of " HN_COMPARE_ROWS ", not \"%.*s\"",
                                (int)(n > 40 ? 40 : n), list);
        *known[i].flag = true;
        list += n + (list[n] == ',');
    }
    if (c->prefill || c->decode || c->streams || c->longest || c->start) return HN_OK;
    return hn_cli_usage(c->cli, err, "--rows takes some of " HN_COMPARE_ROWS);
}

static hn_status choose_files(compare *c, hn_error *err) {
    if (hn_cli_given(c->cli, "model")) {
        c->peer.n_files = 1;
        return hn_cli_model_path(c->cli, c->peer.files[0], err);
    }
    if (c->peer.n_files) return HN_OK;
    return hn_fail(err, HN_ERR_NOT_FOUND, hn_cli_string(c->cli, "compare"), "name a model file with -m",
                   "there are no model files (*.gguf) in models or beside the tools");
}

static hn_status own_path(compare *c, hn_error *err) {
    ssize_t n = readlink("/proc/self/exe", c->self, sizeof c->self - 1);
    if (n > 0) {
        c->self[n] = 0;
        return HN_OK;
    }
    return hn_fail(err, HN_ERR_UNSUPPORTED, "--rows start", "leave the row out",
                   "this system does not tell a program its own path");
}

static hn_status compare_all(compare *c, hn_error *err) {
    const hn_kernels *kernels;
    HN_TRY(hn_kernels_choose(NULL, &kernels, err));
    c->isa = kernels->name;
    c->rows = hn_arena_alloc(c->cli->arena, ROWS_MAX * sizeof *c->rows);
    if (!c->rows) return hn_fail_memory(err, ROWS_MAX * sizeof *c->rows);
    memset(c->rows, 0, ROWS_MAX * sizeof *c->rows);
    int in_turns = c->prefill + c->decode + c->streams + c->longest;
    uint64_t steps = (uint64_t)c->peer.n_files * (uint64_t)(c->turns * in_turns + c->start);
    hn_progress_begin(&c->progress, c->cli->out, "measuring", steps, HN_PROGRESS_COUNT, "figures");
    hn_status st = HN_OK;
    for (int i = 0; i < c->peer.n_files && st == HN_OK; i++) st = compare_file(c, c->peer.files[i], err);
    hn_progress_end(&c->progress);
    return st == HN_OK ? report(c, err) : st;
}

hn_status hn_bench_compare(hn_cli *cli, const hn_engine_options *options, hn_error *err) {
    compare *c = hn_arena_alloc(cli->arena, sizeof *c);
    if (!c) return hn_fail_memory(err, sizeof *c);
    *c = (compare){.cli = cli, .options = *options, .turns = (int)hn_cli_int(cli, "turns")};
    if (hn_cli_given(cli, "prompts") || hn_cli_given(cli, "streams") || hn_cli_given(cli, "seconds"))
        return hn_cli_usage(cli, err,
                            "--compare has its own work: --prompts, --streams and --seconds do not go with it");
    HN_TRY(choose_rows(c, err));
    HN_TRY(hn_peer_find(hn_cli_string(cli, "compare"), c->streams, &c->peer, err));
    HN_TRY(choose_files(c, err));
    if (c->start) HN_TRY(own_path(c, err));
    if (c->options.n_threads == 0) c->options.n_threads = hn_cpu_count();
    c->peer.n_threads = c->options.n_threads;
    return compare_all(c, err);
}
