/* Power: how many cases a comparison needs, and what the cases at hand can show. Two-sided tests.
 *
 *     double n = hn_power_mcnemar_pairs(0.15, 0.05, 0.05, 0.8);         // 468.6: 15 % discordant, 5 points apart
 *     double d = hn_power_mcnemar_detectable(0.15, 300, 0.05, 0.8);     // 0.0624 at 300 cases
 *
 * "Discordance" is the share of cases that exactly one of two systems gets right. Cases are not rounded up here.
 * What cannot be reached gives NaN. Threading: pure functions. */
#ifndef HN_STATS_POWER_H
#define HN_STATS_POWER_H

#include <stdbool.h>
#include <stdint.h>

/* McNemar (Connor 1987): n = (z_(1-alpha/2) sqrt(psi) + z_power sqrt(psi - d^2))^2 / d^2, psi the discordance, d the
 * difference. The exact test needs 6 to 9 % more at 150 to 800 pairs. NaN where |d| > psi or d = 0. */
double hn_power_mcnemar_pairs(double discordance, double difference, double alpha, double power);
/* The upper-tail power of that formula at n pairs. */
double hn_power_mcnemar_at(double discordance, double difference, double n, double alpha);
/* The smallest difference that n pairs show at that discordance; NaN where even all the discordance is not enough. */
double hn_power_mcnemar_detectable(double discordance, double n, double alpha, double power);
/* Power of exact McNemar (mid-p where `mid`) by summing over all tables; O(n^2), n to about 2,000. b happens with p10,
 * c with p01. */
double hn_power_mcnemar_exact(double p10, double p01, int64_t n, double alpha, bool mid);

/* Two independent proportions (Fleiss 1981, pooled under "no difference", no continuity correction): cases per group;
 * power at n per group, with the far tail where `both_tails`; the smallest detectable p2 - p1 with p2 > p1. */
double hn_power_proportions_cases(double p1, double p2, double alpha, double power);
double hn_power_proportions_at(double p1, double p2, double n, double alpha, bool both_tails);
double hn_power_proportions_detectable(double p1, double n, double alpha, double power);

/* A mean of n differences with standard deviation sd: detectable = (z_(1-alpha/2) + z_power) sd / sqrt(n); and n for a
 * difference. */
double hn_power_mean_detectable(double sd, double n, double alpha, double power);
double hn_power_mean_cases(double sd, double difference, double alpha, double power);

#endif
