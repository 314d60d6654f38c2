/* One optimizer step. A step's rows are cut into pieces that fit the room for activations, whose gradients add up to exactly those of the whole:
 * so a step of 8 cases accumulated 4 times and a step of 32 cases are the same bits. */
#include "base/clock.h"
#include "base/rng.h"
#include "lifecycle/tune/tune_method.h"

#include <math.h>
#include <stdio.h>

static const double runaway = 3;

static size_t units_of_step(const hn_training *t) {
    const hn_tune_options *o = &t->setup->options;
    return (size_t)o->batch * (size_t)o->accumulate;
}

int64_t hn_training_steps_of_epoch(const hn_training *t) {
    size_t units = units_of_step(t);
    return (int64_t)((t->n_units + units - 1) / units);
}

/* The rows of the step at hand into t->rows; how many. Each epoch has an order of its own. */
static size_t choose_rows(hn_training *t) {
    int64_t steps = hn_training_steps_of_epoch(t);
    int epoch = (int)(t->state.step / steps);
    size_t from = (size_t)(t->state.step % steps) * units_of_step(t), unit = t->examples.unit, n = 0;
    if (t->ordered_epoch != epoch) {
        hn_rng rng;
        hn_rng_seed(&rng, t->setup->options.seed, (uint64_t)epoch + 1);
        for (size_t k = 0; k < t->n_units; k++) t->order[k] = (uint32_t)k;
        hn_rng_shuffle_u32(&rng, t->order, t->n_units);
        t->ordered_epoch = epoch;
    }
    for (size_t i = from; i < t->n_units && i < from + units_of_step(t); i++)
        for (size_t k = 0; k < unit; k++) t->rows[n++] = &t->examples.items[t->order[i] * unit + k];
    return n;
}

hn_train_batch hn_tune_batch_empty(hn_training *t) {
    return (hn_train_batch){.ids = t->ids, .targets = t->targets, .weights = t->weights, .starts = t->starts};
}

hn_train_batch hn_tune_batch_learning(hn_training *t) {
    hn_train_batch b = hn_tune_batch_empty(t);
    b.dropout = t->setup->options.dropout > 0 ? t->keys : NULL;
    return b;
}

/* Tokens that all rows begin with and that none of them learns. Each row keeps one at least of its own. */
static int common_beginning(const hn_tune_example *const *rows, size_t n) {
    int common = rows[0]->n - 2;
    for (size_t i = 0; i < n && common > 0; i++) {
        int k = 0;
        if (rows[i]->n_prompt - 1 < common) common = rows[i]->n_prompt - 1;
        if (rows[i]->n - 2 < common) common = rows[i]->n - 2;
        while (k < common && rows[i]->ids[k] == rows[0]->ids[k]) k++;
        common = k;
    }
    return common > 0 ? common : 0;
}

void hn_tune_batch_share(hn_training *t, hn_train_batch *b, const hn_tune_example *const *rows, size_t n) {
    if (b->dropout || n < 2) return;
    b->prefix_rows = b->n_rows = common_beginning(rows, n);
    for (int i = 0; i < b->prefix_rows; i++) {
        t->ids[i] = rows[0]->ids[i];
        t->targets[i] = HN_NO_TARGET;
        t->weights[i] = 0;
    }
}

/* Whether the batch has no room for this row beside those that it has. A shared beginning counts only where memory is limited. */
static bool is_full(const hn_training *t, const hn_train_batch *b, const hn_tune_example *x) {
    int own = b->n_rows - b->prefix_rows + x->n - 1 - b->prefix_rows;
    if (t->setup->options.memory_bytes > 0) own += b->prefix_rows;
    return b->n_sequences > 0 && own > t->max_rows;
}

static void batch_clear(hn_train_batch *b) {
    b->n_sequences = 0;
    b->n_rows = b->prefix_rows;
}

void hn_tune_batch_append(hn_training *t, hn_train_batch *b, const hn_tune_example *x, float weight) {
    int P = b->prefix_rows, at = b->n_rows - P;
    t->keys[b->n_sequences] = hn_dropout_key(t->setup->options.seed, (uint64_t)t->state.step, x->row);
    t->starts[b->n_sequences++] = b->n_rows;
    for (int i = P; i + 1 < x->n; i++) {
        bool learned = x->learned[i + 1];
        t->ids[at + i] = x->ids[i];
        t->targets[at + i] = learned ? x->ids[i + 1] : HN_NO_TARGET;
        t->weights[at + i] = learned ? weight : 0;
    }
    b->n_rows += x->n - 1 - P;
}

static hn_status run_piece(hn_training *t, hn_train_batch *b, double *loss, hn_error *err) {
    HN_TRY(hn_network_forward(t->network, b, NULL, err));
    HN_TRY(hn_network_backward(t->network, b, t->losses, err));
    for (int i = 0; i < b->n_rows; i++)
        if (t->targets[i] != HN_NO_TARGET) *loss += t->losses[i];
    batch_clear(b);
    return HN_OK;
}

hn_status hn_tune_gradient_answers(hn_training *t, const hn_tune_example *const *rows, size_t n, double *loss,
                                   int64_t *n_counted, hn_error *err) {
    hn_train_batch b = hn_tune_batch_learning(t);
    double all = 0;
    b.label_smoothing = (float)t->setup->options.label_smoothing;
    *loss = 0;
    *n_counted = 0;
    for (size_t i = 0; i < n; i++) {
        all += (double)rows[i]->weight * rows[i]->n_learned;
        *n_counted += rows[i]->n_learned;
    }
    hn_tune_batch_share(t, &b, rows, n);
    for (size_t i = 0; i < n; i++) {
        if (is_full(t, &b, rows[i])) HN_TRY(run_piece(t, &b, loss, err));
        hn_tune_batch_append(t, &b, rows[i], (float)((double)rows[i]->weight / all));
    }
    return run_piece(t, &b, loss, err);
}

/* Of the rows first.. of the batch; *at is where the next row's first loss stands. */
static hn_status losses_of_piece(hn_training *t, hn_train_batch *b, double *losses, hn_error *err) {
    HN_TRY(hn_network_forward(t->network, b, t->losses, err));
    for (int s = 0; s < b->n_sequences; s++) {
        int end = s + 1 < b->n_sequences ? t->starts[s + 1] : b->n_rows;
        losses[s] = 0;
        for (int i = t->starts[s]; i < end; i++)
            if (t->targets[i] != HN_NO_TARGET) losses[s] += t->losses[i];
    }
    batch_clear(b);
    return HN_OK;
}

hn_status hn_tune_answer_losses(hn_training *t, const hn_tune_example *const *rows, size_t n, double *losses,
                                hn_error *err) {
    hn_train_batch b = hn_tune_batch_empty(t);
    size_t first = 0;
    if (n) hn_tune_batch_share(t, &b, rows, n);
    for (size_t i = 0; i < n; i++) {
        if (is_full(t, &b, rows[i])) {
            HN_TRY(losses_of_piece(t, &b, losses + first, err));
            first = i;
        }
        hn_tune_batch_append(t, &b, rows[i], 1);
    }
    return b.n_sequences ? losses_of_piece(t, &b, losses + first, err) : HN_OK;
}

/* Linear warm-up, then down to a tenth by half a cosine or a line, or as it is. */
static double rate_at(const hn_tune_options *o, int64_t step, int64_t n_steps) {
    double warm = ceil(o->warmup * (double)n_steps), at = (double)step + 1;
    if (at <= warm) return o->learning_rate * at / warm;
    double share = (double)n_steps > warm ? (at - warm) / ((double)n_steps - warm) : 1;
    if (o->schedule == HN_TUNE_CONSTANT) return o->learning_rate;
    double left = o->schedule == HN_TUNE_LINEAR ? 1 - share : 0.5 * (1 + cos(acos(-1) * share));
    return o->learning_rate * (0.1 + 0.9 * left);
}

static hn_status check_loss(hn_training *t, double loss, double norm, hn_error *err) {
    char remedy[HN_PATH_MAX + 160];
    if (t->state.step == 0) t->state.first_loss = loss;
    /* a gradient of exactly 0: nothing gets through weights this large any more */
    if (isfinite(loss) && isfinite(norm) && norm > 0 && loss < runaway * t->state.first_loss + 10) return HN_OK;
    if (t->state.best > 0)
        snprintf(remedy, sizeof remedy, "lower --learning-rate to a third; the best before is kept: %s (epoch %d)",
                 t->result->folder, t->state.best);
    else
        snprintf(remedy, sizeof remedy, "lower --learning-rate to a third");
    return hn_fail(err, HN_ERR_INPUT, "training", remedy,
                   "the loss ran away: %.3g nats a token at step %lld, from %.3g at first (gradient norm %.3g)", loss,
                   (long long)t->state.step + 1, t->state.first_loss, norm);
}

hn_status hn_training_step(hn_training *t, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    size_t n = choose_rows(t), n_tensors, tokens = 0;
    int64_t counted = 1;
    double loss = 0, from = hn_clock_seconds();
    for (size_t i = 0; i < n; i++) tokens += (size_t)t->rows[i]->n;
    hn_network_clear_gradients(t->network);
    HN_TRY((t->method->gradient ? t->method->gradient : hn_tune_gradient_answers)(t, t->rows, n, &loss, &counted, err));
    hn_tensor *tensors = hn_network_tensors(t->network, &n_tensors);
    double norm = hn_gradient_clip(tensors, n_tensors, o->clip > 0 ? o->clip : INFINITY);
    HN_TRY(check_loss(t, loss / (double)counted, norm, err));
    t->adam.learning_rate = (float)rate_at(o, t->state.step, t->result->n_steps);
    HN_TRY(hn_adamw_step(&t->adam, tensors, n_tensors, err));
    int64_t point = t->state.step * HN_TUNE_CURVE / t->result->n_steps;
    t->state.curve_sum[point] += loss / (double)counted;
    t->state.curve_n[point]++;
    t->state.step++;
    t->state.loss_sum += loss;
    t->state.loss_tokens += counted;
    if (t->hooks->on_step)
        t->hooks->on_step(t->hooks->user, t->state.step, t->result->n_steps, loss / (double)counted,
                          (double)tokens / (hn_clock_seconds() - from));
    return HN_OK;
}
