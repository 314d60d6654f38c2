/* What a training shows; see tune_show.h. */
#include "cli/tune_show.h"

#include "cli/chart.h"
#include "cli/inference.h"
#include "cli/output.h"
#include "cli/tune_show_methods.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BAR = 16, SAID_COLUMNS = 40 };

/* ---- on the way ---- */

static hn_status open_model(void *user, const char *model, const char *adapter, hn_provider **provider, hn_error *err) {
    hn_cli_tuning *t = user;
    hn_local_options o = hn_cli_local_options(t->cli);
    const char *name = model ? model : t->base_name;
    o.adapter = adapter;
    if (t->p.project) return hn_cli_project_model(&t->p, name, &o, provider, err);
    return hn_cli_open_named(NULL, name, &o, provider, err);
}

static void bar_of(int64_t step, int64_t n_steps, char out[BAR + 1]) {
    int64_t filled = n_steps > 0 ? step * BAR / n_steps : 0;
    for (int i = 0; i < BAR; i++) out[i] = i < filled ? '#' : '-';
    out[BAR] = 0;
}

static void on_step(void *user, int64_t step, int64_t n_steps, double loss, double rate) {
    hn_cli_tuning *t = user;
    char what[96], bar[BAR + 1], dev[32] = "";
    bar_of(step, n_steps, bar);
    if (isfinite(t->dev) && t->dev_is_loss) snprintf(dev, sizeof dev, ", held out %.3f", t->dev);
    if (isfinite(t->dev) && !t->dev_is_loss) snprintf(dev, sizeof dev, ", dev %.1f %%", 100 * t->dev);
    snprintf(what, sizeof what, "%.24s [%s] loss %.3f%s, %.0f tokens/s", t->title ? t->title : "training", bar, loss,
             dev, rate);
    if (!t->shown) {
        hn_progress_begin(&t->progress, t->cli->out, what, (uint64_t)n_steps, HN_PROGRESS_COUNT, "steps");
        hn_progress_base(&t->progress, (uint64_t)(step - 1));
    }
    t->shown = true;
    hn_progress_rename(&t->progress, what, (uint64_t)n_steps);
    hn_progress_update(&t->progress, (uint64_t)step);
}

void hn_cli_tune_progress_end(hn_cli_tuning *t) {
    if (t->shown) hn_progress_end(&t->progress);
    t->shown = false;
}

static hn_estimate accuracy_of(int n_correct, size_t n) {
    hn_interval i = hn_interval_wilson(n_correct, (int64_t)n, 0.05);
    return (hn_estimate){(double)n_correct / (double)n, i.low, i.high};
}

static char *loss_text(const hn_estimate *e, char out[64]) {
    if (isfinite(e->low) && isfinite(e->high))
        snprintf(out, 64, "%.3f [%.3f, %.3f]", e->value, e->low, e->high);
    else
        snprintf(out, 64, "%.3f", e->value);
    return out;
}

static bool is_text(const hn_tune_epoch *e) { return isfinite(e->bits_per_byte.value); }

/* What an epoch is judged by, where it is no accuracy. */
static const hn_estimate *held_out(const hn_tune_epoch *e) { return is_text(e) ? &e->bits_per_byte : &e->loss; }

static void print_sample(hn_cli_tuning *t, const hn_tune_sample *sample) {
    hn_buf said, wanted;
    if (!*sample->name) return;
    hn_buf_init(&said, 0);
    hn_buf_init(&wanted, 0);
    hn_cli_excerpt(sample->said ? sample->said : "(no valid answer)", SAID_COLUMNS, &said);
    hn_cli_excerpt(sample->wanted ? sample->wanted : "", SAID_COLUMNS, &wanted);
    if (sample->still_wrong)
        hn_output_print(t->cli->out, "; still wrong: case %.20s is %s, said: %s", sample->name, hn_buf_str(&wanted),
                        hn_buf_str(&said));
    else
        hn_output_print(t->cli->out, "\n  %.20s should be: %s\n  %*s says: %s", sample->name, hn_buf_str(&wanted),
                        (int)strlen(sample->name) + 6, "", hn_buf_str(&said));
    hn_buf_free(&said);
    hn_buf_free(&wanted);
}

static void on_epoch(void *user, const hn_tune_epoch *e, size_t n_dev, const hn_tune_sample *sample) {
    hn_cli_tuning *t = user;
    char text[64], took[32], loss[48] = "before training";
    bool by_loss = e->n_correct < 0;
    hn_cli_tune_progress_end(t);
    t->dev_is_loss = by_loss;
    t->dev = by_loss ? held_out(e)->value : (double)e->n_correct / (double)n_dev;
    if (t->quiet) return;
    if (e->epoch)
        snprintf(loss, sizeof loss, "loss %.3f nats a %s", e->train_loss,
                 hn_cli_tune_loss_unit(t->setup.options.method));
    if (by_loss)
        loss_text(held_out(e), text);
    else
        hn_cli_percent(accuracy_of(e->n_correct, n_dev), text);
    hn_output_print(t->cli->out, "epoch %-2d %s  %s %s%s  after %s", e->epoch, loss, by_loss ? "held out" : "dev", text,
                    is_text(e) ? " bits a byte" : "", hn_format_duration(e->seconds, took));
    hn_cli_tune_rewards_print(t->cli->out, e);
    print_sample(t, sample);
    hn_output_print(t->cli->out, "\n");
}

/* While a teacher answers: the same line as the steps', before and after them. */
static void on_teacher(void *user, size_t n_done, size_t n) {
    hn_cli_tuning *t = user;
    if (!t->shown) hn_progress_begin(&t->progress, t->cli->out, "the teacher answers", n, HN_PROGRESS_COUNT, "cases");
    t->shown = true;
    hn_progress_update(&t->progress, n_done);
    if (n_done == n) hn_cli_tune_progress_end(t);
}

hn_tune_hooks hn_cli_tune_hooks(hn_cli_tuning *t) {
    return (hn_tune_hooks){
        .open = open_model, .on_step = on_step, .on_epoch = on_epoch, .user = t, .on_teacher = on_teacher};
}

/* ---- at the end ---- */

static hn_status print_epochs(hn_cli_tuning *t, const hn_tune_result *r, hn_error *err) {
    bool by_loss = !isfinite(r->accuracy.value);
    hn_table *table = hn_table_create(t->cli->out);
    hn_table_column(table, "epoch", HN_ALIGN_RIGHT);
    hn_table_column(table, "train loss", HN_ALIGN_RIGHT);
    const char *judged = is_text(&r->epochs[r->best]) ? "held-out bits a byte"
                         : by_loss                    ? "held-out loss"
                                                      : "dev accuracy";
    hn_table_column(table, judged, HN_ALIGN_RIGHT);
    bool pairs = isfinite(r->epochs[r->best].reward_accuracy.value);
    if (pairs) hn_table_column(table, "chosen preferred", HN_ALIGN_RIGHT);
    if (pairs) hn_table_column(table, "margin", HN_ALIGN_RIGHT);
    hn_table_column(table, " ", HN_ALIGN_LEFT);
    for (size_t k = 0; k < r->n_epochs; k++) {
        const hn_tune_epoch *e = &r->epochs[k];
        char text[64];
        hn_table_row(table);
        hn_table_cell(table, "%d", e->epoch);
        if (isfinite(e->train_loss))
            hn_table_cell(table, "%.3f", e->train_loss);
        else
            hn_table_cell(table, "-");
        hn_table_cell(table, "%s",
                      by_loss ? loss_text(held_out(e), text)
                              : hn_cli_percent(accuracy_of(e->n_correct, r->n_dev), text));
        if (pairs) hn_cli_tune_rewards_cells(table, e);
        hn_table_cell(table, "%s", k == r->best ? "kept" : "");
        if (k == r->best) hn_table_row_style(table, HN_STYLE_GOOD);
    }
    return hn_table_print(table, err);
}

static void print_charts(hn_cli_tuning *t, const hn_tune_result *r) {
    double x[HN_TUNE_CURVE], y[HN_TUNE_CURVE], at[HN_TUNE_EPOCHS_MAX + 1], score[HN_TUNE_EPOCHS_MAX + 1];
    bool by_loss = !isfinite(r->accuracy.value);
    double steps = r->n_curve ? (double)r->curve[r->n_curve - 1].to : 0;
    for (size_t i = 0; i < r->n_curve; i++) x[i] = (double)r->curve[i].to, y[i] = r->curve[i].loss;
    for (size_t i = 0; i < r->n_epochs; i++) {
        at[i] = r->n_epochs > 1 ? steps * (double)i / (double)(r->n_epochs - 1) : 0;
        score[i] = by_loss ? r->epochs[i].loss.value : (double)r->epochs[i].n_correct / (double)r->n_dev;
    }
    hn_chart_series loss[] = {{"training", x, y, r->n_curve, '*'}, {"held out", at, score, r->n_epochs, 'o'}};
    char title[48];
    snprintf(title, sizeof title, "loss, nats a %s", hn_cli_tune_loss_unit(t->setup.options.method));
    hn_output_print(t->cli->out, "\n");
    hn_chart_print(t->cli->out, &(hn_chart){.title = title, .x_name = "steps", .series = loss, .n = by_loss ? 2 : 1});
    if (by_loss) return;
    hn_chart_series accuracy = {"dev", at, score, r->n_epochs, 'o'};
    hn_chart_print(
        t->cli->out,
        &(hn_chart){.title = "accuracy on dev", .x_name = "steps", .percent = true, .series = &accuracy, .n = 1});
}

char *hn_cli_tune_score_text(const hn_tune_result *r, char out[128]) {
    char text[64];
    if (isfinite(r->accuracy.value))
        snprintf(out, 128, "dev accuracy %s", hn_cli_percent(r->accuracy, text));
    else if (isfinite(r->bits_per_byte.value))
        snprintf(out, 128, "held-out %s bits a byte", loss_text(&r->bits_per_byte, text));
    else if (isfinite(r->epochs[r->best].reward_accuracy.value))
        snprintf(out, 128, "held-out loss %s nats a pair", loss_text(&r->loss, text));
    else
        snprintf(out, 128, "held-out loss %s nats a token, perplexity %.3g", loss_text(&r->loss, text),
                 exp(r->loss.value));
    return out;
}

static void print_next(hn_cli_tuning *t, const hn_tune_result *r) {
    long long id = (long long)r->run->id;
    hn_output_print(t->cli->out, "\n%s: %s\n\nNext:\n",
                    r->is_whole ? "The model, as Hugging Face has them" : "The adapter, as PEFT has them",
                    hn_cli_path_shown(r->folder));
    if (!t->prompt) {
        hn_output_print(t->cli->out, "  hone chat -m tune:r%lld\n  hone export --model tune:r%lld -o FOLDER\n", id, id);
        return;
    }
    hn_output_print(t->cli->out, "  hone eval %s -m tune:r%lld\n  hone eval %s -m tune:r%lld --split test\n",
                    t->prompt->name, id, t->prompt->name, id);
}

hn_status hn_cli_tune_print(hn_cli_tuning *t, const hn_tune_result *r, hn_error *err) {
    hn_output *out = t->cli->out;
    char took[32], text[128];
    hn_output_print(out, "\nr%lld  %s trained on %zu %s (%zu tokens, %zu of them answers) in %s%s\n\n",
                    (long long)r->run->id, r->run->spec.model_name, r->n_train, t->data ? "rows" : "cases", r->n_tokens,
                    r->n_supervised, hn_format_duration(r->seconds, took), r->start == HN_RUN_DONE ? ", earlier" : "");
    HN_TRY(print_epochs(t, r, err));
    print_charts(t, r);
    hn_output_print(out, "\n");
    if (r->stopped_early && !t->data)
        hn_output_print(out, "Stopped early: the paired interval left no room for a gain of %.0f points.\n",
                        100 * t->p.scope->smallest_difference);
    if (r->stopped_early && t->data)
        hn_output_print(out, "Stopped early: the held-out loss only rises, by its paired interval.\n");
    hn_output_print(out, "Best: epoch %d, %s of %zu %s. It was chosen by these: %s\n", r->epochs[r->best].epoch,
                    hn_cli_tune_score_text(r, text), r->n_dev, t->data ? "rows" : "dev cases",
                    t->data ? "new ones say what it is worth." : "what it is worth, the test split says.");
    HN_TRY(hn_cli_tune_distillation_print(t, r, err));
    print_next(t, r);
    return HN_OK;
}

/* ---- for programs ---- */

json_t *hn_cli_tune_estimate_json(const hn_estimate *e) {
    if (!isfinite(e->value)) return json_null();
    return json_pack("{s:f, s:o, s:o}", "value", e->value, "low", isfinite(e->low) ? json_real(e->low) : json_null(),
                     "high", isfinite(e->high) ? json_real(e->high) : json_null());
}

static json_t *curve_json(const hn_tune_result *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_curve; i++)
        json_array_append_new(list, json_pack("[I, f]", (json_int_t)r->curve[i].to, r->curve[i].loss));
    return list;
}

json_t *hn_cli_tune_json(const hn_cli_tuning *t, const hn_tune_result *r) {
    char run[32], model[48];
    snprintf(run, sizeof run, "r%lld", (long long)r->run->id);
    snprintf(model, sizeof model, "tune:%s", run);
    const char *prompt = r->run->spec.prompt_name;
    bool pairs = isfinite(r->epochs[r->best].reward_accuracy.value);
    double perplexity = pairs ? (double)NAN : exp(r->loss.value);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:i, s:o, s:o, s:b, s:f, "
                     "s:o, s:o, s:o}",
                     "run", run, "model", model, "base", r->run->spec.model_name, "prompt", prompt ? prompt : "",
                     "method", t->setup.options.method ? t->setup.options.method : "lora", "adapter",
                     r->is_whole ? json_null() : json_string(r->folder), "folder", json_string(r->folder),
                     "train_cases", (json_int_t)r->n_train, "dev_cases", (json_int_t)r->n_dev, "train_tokens",
                     (json_int_t)r->n_tokens, "supervised_tokens", (json_int_t)r->n_supervised, "accuracy",
                     hn_cli_tune_estimate_json(&r->accuracy), "held_out_loss", hn_cli_tune_estimate_json(&r->loss),
                     "perplexity", isfinite(perplexity) ? json_real(perplexity) : json_null(), "best_epoch",
                     r->epochs[r->best].epoch, "epochs", hn_tune_epochs_json(r->epochs, r->n_epochs, r->best), "curve",
                     curve_json(r), "stopped_early", r->stopped_early, "seconds", r->seconds, "bits_per_byte",
                     hn_cli_tune_estimate_json(&r->bits_per_byte), "settings", hn_cli_tune_settings_json(&t->settings),
                     "distillation", hn_cli_tune_distillation_json(r));
}
