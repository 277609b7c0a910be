/* Threads that share the work of one operator. All functions are local.
 *
 * Waiting threads spin for some microseconds, then sleep: where other processes (or other
 * ranks) want the cores too, an OpenMP team that spins at every barrier is an order of
 * magnitude slower. */
#ifndef HR_COMPUTE_CPU_POOL_H
#define HR_COMPUTE_CPU_POOL_H

#include "base/status.h"

#include <stdint.h>

typedef struct hr_pool hr_pool;

/* `threads` with the calling one: a pool of one has no threads of its own. */
hr_status hr_pool_create(int threads, hr_pool **out);
/* Takes NULL. */
void hr_pool_destroy(hr_pool *pool);

/* Unit `i` of some work, on thread 0..threads-1 of the pool. */
typedef hr_status (*hr_pool_fn)(void *user, int64_t i, int thread);

/* Does units 0..n-1, each once, on whichever thread is free next, and waits for all.
 * Returns the worst status; after a failure the units not yet begun are left out, so
 * which of several failures it is can vary. One call at a time runs, others wait. The
 * calling thread's OpenMP teams are of one thread from then on. */
hr_status hr_pool_run(hr_pool *pool, hr_pool_fn fn, void *user, int64_t n);

#endif
