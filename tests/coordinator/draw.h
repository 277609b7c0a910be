/* Numbers for property tests: the same on every run. */
#ifndef HR_TESTS_COORDINATOR_DRAW_H
#define HR_TESTS_COORDINATOR_DRAW_H

#include "coordinator/windows.h"

/* 0 .. n-1 (xorshift64; `state` is any number but 0). */
int draw_below(uint64_t *state, int n);
/* A video of more or less than one window, with every kind of grid, blend and anchor. */
hr_windows draw_windows(uint64_t *state, int max_length);

#endif
