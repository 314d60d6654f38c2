/* A test that may be looked at as often as one likes: of B against A from the discordant pairs so far.
 *
 *     hn_sequential s = hn_sequential_start();
 *     after every 50 cases:                                               // counts since the start
 *         hn_sequential_look(&s, only_a_right, only_b_right);
 *         if (s.p <= 0.05) stop(only_b_right > only_a_right ? "B is better" : "A is better");
 *
 * Of the cases that exactly one side gets right, B's share is 1/2 where the two are equally good. Betting against that
 * with a stake of 1 and every share q in turn, uniformly mixed, wealth after b such cases for A and c for B is
 *     E = integral of q^c (1 - q)^b dq / (1/2)^(b + c) = 2^(b + c) / ((b + c + 1) C(b + c, c))
 * (Ville 1939; Robbins 1970; Shafer 2021). Under "equally good" wealth is a martingale of mean 1, so the chance that it
 * ever reaches 1 / alpha is at most alpha, whenever and however often it is looked at (Ville's inequality). p is 1 over
 * the largest wealth seen. The price: it needs more cases than exact McNemar, which may be looked at once only.
 * Related cases: give one pair per group, the side that is right more often in it. Cases must come in an order that does
 * not depend on the answers. Ownership: a plain value. Threading: pure functions. */
#ifndef HN_STATS_SEQUENTIAL_H
#define HN_STATS_SEQUENTIAL_H

#include "stats/interval.h"

typedef struct hn_sequential {
    int64_t only_a, only_b;            /* at the latest look */
    double log_wealth, log_wealth_max; /* natural logarithm */
    double p;                          /* anytime-valid; 1 at the start, never rises */
    size_t n_looks;
} hn_sequential;

hn_sequential hn_sequential_start(void);
/* A look at the counts so far; a count below the previous one (not the same sequence any more) changes nothing. */
void hn_sequential_look(hn_sequential *s, int64_t only_a, int64_t only_b);

/* An interval for B's share of the discordant pairs that holds at all looks at once, with probability 1 - alpha: all
 * shares q whose own wealth, B(c + 1, b + 1) / (q^c (1 - q)^b), is below 1 / alpha. [0, 1] without pairs. Intersect it
 * with those of earlier looks. */
hn_interval hn_sequential_share(int64_t only_a, int64_t only_b, double alpha);

#endif
