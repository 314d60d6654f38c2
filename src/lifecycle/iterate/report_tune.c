/* Trainings in the HTML report; see report_tune.h. */
#include "lifecycle/iterate/report_tune.h"

#include "format/markdown.h"
#include "lifecycle/iterate/report_svg.h"

#include <math.h>
#include <string.h>

bool hn_report_is_tuning(const hn_run *run) { return run->kind && strcmp(run->kind, "tune") == 0; }

static double number_of(const json_t *v) { return json_is_number(v) ? json_number_value(v) : (double)NAN; }

/* Points of the chart: the training loss by step, and each epoch's score at its last step. */
typedef struct points {
    double *x, *loss, *at, *score; /* (n) (n) (n_epochs) (n_epochs) */
    size_t n, n_epochs;
    bool by_loss;
} points;

static void fill(points *p, const json_t *summary) {
    const json_t *curve = json_object_get(summary, "curve"), *epochs = json_object_get(summary, "epochs");
    double n_cases = number_of(json_object_get(summary, "n")), steps = number_of(json_object_get(summary, "steps"));
    p->by_loss = !json_is_number(json_object_get(summary, "n_correct"));
    for (size_t i = 0; i < p->n; i++) {
        const json_t *point = json_array_get(curve, i);
        p->x[i] = number_of(json_array_get(point, 0));
        p->loss[i] = number_of(json_array_get(point, 1));
    }
    for (size_t i = 0; i < p->n_epochs; i++) {
        const json_t *e = json_array_get(epochs, i);
        p->at[i] = p->n_epochs > 1 ? steps * (double)i / (double)(p->n_epochs - 1) : 0;
        p->score[i] = p->by_loss ? number_of(json_object_get(json_object_get(e, "held_out_loss"), "value"))
                                 : number_of(json_object_get(e, "n_correct")) / n_cases;
    }
}

static void append_facts(const json_t *s, hn_buf *out) {
    const char *method = json_string_value(json_object_get(s, "method")),
               *base = json_string_value(json_object_get(s, "base"));
    hn_buf_append_str(out, "<p>");
    hn_html_append(out, method ? method : "lora");
    hn_buf_append_str(out, " on ");
    hn_html_append(out, base ? base : "");
    hn_buf_appendf(out,
                   ": %lld cases or rows (%lld tokens, %lld of them answers), %lld steps, best of epoch %lld%s.</p>\n",
                   (long long)json_integer_value(json_object_get(s, "train_cases")),
                   (long long)json_integer_value(json_object_get(s, "train_tokens")),
                   (long long)json_integer_value(json_object_get(s, "supervised_tokens")),
                   (long long)json_integer_value(json_object_get(s, "steps")),
                   (long long)json_integer_value(json_object_get(s, "best")),
                   json_is_true(json_object_get(s, "stopped_early")) ? ", stopped early" : "");
}

static void append_charts(const points *p, hn_buf *out) {
    hn_svg_curve loss[] = {{"training loss", p->x, p->loss, p->n}, {"held-out loss", p->at, p->score, p->n_epochs}};
    hn_svg_curve accuracy = {"accuracy", p->at, p->score, p->n_epochs};
    hn_buf_append_str(out, "<figure>\n");
    hn_svg_curves(loss, p->by_loss ? 2 : 1, false, "steps", "Loss while training", out);
    hn_buf_append_str(out, "<figcaption>Loss of the answers in nats a token, by step");
    hn_buf_append_str(out, p->by_loss ? "; larger points: of the rows that were held out.</figcaption></figure>\n"
                                      : ".</figcaption></figure>\n");
    if (p->by_loss) return;
    hn_buf_append_str(out, "<figure>\n");
    hn_svg_curves(&accuracy, 1, true, "steps", "Accuracy on dev while training", out);
    hn_buf_append_str(out,
                      "<figcaption>Accuracy on dev after each epoch, as served; the first point is the model before "
                      "training. The best was chosen by it.</figcaption></figure>\n");
}

hn_status hn_report_tuning(const json_t *summary, hn_buf *out, hn_error *err) {
    if (!summary) return HN_OK;
    points p = {.n = json_array_size(json_object_get(summary, "curve")),
                .n_epochs = json_array_size(json_object_get(summary, "epochs"))};
    p.x = hn_calloc(p.n + 1, sizeof *p.x);
    p.loss = hn_calloc(p.n + 1, sizeof *p.loss);
    p.at = hn_calloc(p.n_epochs + 1, sizeof *p.at);
    p.score = hn_calloc(p.n_epochs + 1, sizeof *p.score);
    bool fine = p.x && p.loss && p.at && p.score;
    if (fine) {
        fill(&p, summary);
        hn_buf_append_str(out, "<h3>Training</h3>\n");
        append_facts(summary, out);
        append_charts(&p, out);
    }
    hn_free(p.x), hn_free(p.loss), hn_free(p.at), hn_free(p.score);
    return fine ? HN_OK : hn_fail_memory(err, (p.n + p.n_epochs) * sizeof(double));
}
