/* The ordered sum of tensor parallelism.
 *
 * The addends of the whole sum lie in a fixed binary tree over the virtual shards; rank r
 * of T holds the sum of its own subtree. T is a power of two. Partners exchange whole
 * partial sums and add them, neighbours first, so that every rank gets the same bits, and
 * the same as one rank that adds its T subtrees itself. */
#ifndef HR_COMM_TENSOR_SUM_H
#define HR_COMM_TENSOR_SUM_H

#include "comm/group.h"
#include "compute/arena.h"

/* Collective over `group` (NULL or a group of one: nothing to do). x: F32, any shape, the
 * same on all ranks; becomes the sum. Scratch comes from the arena, which is left as it
 * was. Waits for the stream. Source: recursive doubling (Thakur, Rabenseifner, Gropp,
 * "Optimization of Collective Communication Operations in MPICH", 2005). */
hr_status hr_tensor_sum(hr_group *group, hr_stream *stream, hr_arena *arena,
                        const hr_tensor *x);

#endif
