/* T5's relative positions. Local, pure.
 * Source: transformers 5.23 models/umt5/modeling_umt5.py _relative_position_bucket (both
 * directions). */
#ifndef HR_MODEL_RELATIVE_POSITION_H
#define HR_MODEL_RELATIVE_POSITION_H

#include <stdint.h>

/* The bucket, in 0..n_buckets-1, of a key `distance` places to the right of its query.
 * One half of the buckets is for keys to the right; half of each half for one small
 * distance each, the rest by the logarithm up to max_distance. n_buckets is a multiple of
 * 4, max_distance above a quarter of it. */
int64_t hr_relative_bucket(int64_t distance, int64_t n_buckets, int64_t max_distance);

#endif
