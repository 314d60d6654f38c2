/* Distributions; see distribution.h.
 * The incomplete beta function is its continued fraction (Abramowitz and Stegun 26.5.8) evaluated by Lentz's method;
 * binomial and t follow from it. Quantiles are roots of the accurate tail, so both ends keep their digits. */
#include "stats/distribution.h"

#include <float.h>
#include <math.h>

static const double sqrt_2pi = 2.506628274631000502;

double hn_normal_cdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
double hn_normal_sf(double x) { return 0.5 * erfc(x * M_SQRT1_2); }
double hn_chi2_1_sf(double x) { return x < 0 ? NAN : erfc(sqrt(x / 2)); }

/* Start: Abramowitz and Stegun 26.2.23 (error below 4.5e-4); then Halley steps on the exact tail. */
double hn_normal_quantile(double p) {
    if (!(p >= 0 && p <= 1)) return NAN;
    if (p == 0 || p == 1) return p == 0 ? -INFINITY : INFINITY;
    if (p > 0.5) return -hn_normal_quantile(1 - p);
    double t = sqrt(-2 * log(p));
    double x = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
    if (p < 1e-300) return x;
    for (int i = 0; i < 4; i++) {
        double u = (hn_normal_cdf(x) - p) * sqrt_2pi * exp(x * x / 2);
        x -= u / (1 + x * u / 2);
    }
    return x;
}

static double log_gamma(double x) {
    int sign; /* lgamma itself writes a global */
    return lgamma_r(x, &sign);
}

/* x^a y^b / B(a, b), with y = 1 - x given apart so that neither loses digits. */
static double beta_front(double a, double b, double x, double y) {
    double lx = x > 0.5 ? log1p(-y) : log(x), ly = y > 0.5 ? log1p(-x) : log(y);
    return exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * lx + b * ly);
}

static double away_from_zero(double x) { return fabs(x) < 1e-300 ? 1e-300 : x; }

/* Converges in about sqrt(max(a, b)) terms where x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x) {
    double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), h = d;
    for (int m = 1; m < 100000; m++) {
        double m2 = 2.0 * m, even = m * (b - m) * x / ((a + m2 - 1) * (a + m2));
        d = 1 / away_from_zero(1 + even * d);
        c = away_from_zero(1 + even / c);
        h *= d * c;
        double odd = -(a + m) * (a + b + m) * x / ((a + m2) * (a + m2 + 1));
        d = 1 / away_from_zero(1 + odd * d);
        c = away_from_zero(1 + odd / c);
        h *= d * c;
        if (fabs(d * c - 1) < 2 * DBL_EPSILON) break;
    }
    return h;
}

/* I_x(a, b), or its complement where `upper`; y = 1 - x. */
static double beta_tail(double a, double b, double x, double y, int upper) {
    if (!(a > 0 && b > 0 && x >= 0 && y >= 0)) return NAN;
    if (x == 0 || y == 0) return (x == 0) == (upper != 0) ? 1 : 0;
    int direct = x < (a + 1) / (a + b + 2); /* the fraction gives the lower tail */
    double front = beta_front(a, b, x, y);
    double tail = direct ? front * beta_fraction(a, b, x) / a : front * beta_fraction(b, a, y) / b;
    if (tail > 1) tail = 1;
    return direct == !upper ? tail : 1 - tail;
}

double hn_beta_cdf(double a, double b, double x) { return x > 1 ? NAN : beta_tail(a, b, x, 1 - x, 0); }
double hn_beta_sf(double a, double b, double x) { return x > 1 ? NAN : beta_tail(a, b, x, 1 - x, 1); }

/* Newton steps, held inside a bracket that each step narrows; a step that leaves it is replaced by halving. */
double hn_beta_quantile(double a, double b, double p) {
    if (!(a > 0 && b > 0 && p >= 0 && p <= 1)) return NAN;
    if (p == 0 || p == 1) return p;
    double low = 0, high = 1, x = a / (a + b);
    for (int i = 0; i < 1200; i++) {
        double over = beta_tail(a, b, x, 1 - x, 0) - p;
        if (over == 0) return x;
        if (over > 0)
            high = x;
        else
            low = x;
        double slope = beta_front(a, b, x, 1 - x) / (x * (1 - x));
        double next = x - over / slope;
        if (!(next > low && next < high)) next = low + (high - low) / 2;
        if (next == x || fabs(next - x) <= 2 * DBL_EPSILON * next) return next;
        x = next;
    }
    return x;
}

double hn_binomial_pmf(int64_t k, int64_t n, double p) {
    if (n < 0 || !(p >= 0 && p <= 1)) return NAN;
    if (k < 0 || k > n) return 0;
    if (p == 0 || p == 1) return k == (p == 0 ? 0 : n) ? 1 : 0;
    double choose = log_gamma((double)n + 1) - log_gamma((double)k + 1) - log_gamma((double)(n - k) + 1);
    return exp(choose + (double)k * log(p) + (double)(n - k) * log1p(-p));
}

double hn_binomial_sf(int64_t k, int64_t n, double p) {
    if (n < 0 || !(p >= 0 && p <= 1)) return NAN;
    if (k <= 0) return 1;
    if (k > n) return 0;
    return beta_tail((double)k, (double)(n - k) + 1, p, 1 - p, 0);
}

double hn_binomial_cdf(int64_t k, int64_t n, double p) {
    if (n < 0 || !(p >= 0 && p <= 1)) return NAN;
    if (k < 0) return 0;
    if (k >= n) return 1;
    return beta_tail((double)k + 1, (double)(n - k), p, 1 - p, 1);
}

/* t^2 / (degrees + t^2) is beta distributed with (1/2, degrees/2). */
double hn_t_quantile(double p, double degrees) {
    if (!(p > 0 && p < 1 && degrees > 0)) return NAN;
    if (p < 0.5) return -hn_t_quantile(1 - p, degrees);
    double y = hn_beta_quantile(0.5, degrees / 2, 2 * p - 1);
    return sqrt(degrees * y / (1 - y));
}
