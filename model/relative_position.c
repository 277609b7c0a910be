#include "model/relative_position.h"

#include <math.h>

int64_t hr_relative_bucket(int64_t distance, int64_t n_buckets, int64_t max_distance)
{
    int64_t half = n_buckets / 2, exact = half / 2, bucket;
    int64_t base = distance > 0 ? half : 0, a = distance < 0 ? -distance : distance;
    float scaled;

    if (a < exact)
        return base + a;
    /* In fp32, as the reference: the borders of the buckets depend on it. */
    scaled = logf((float)a / (float)exact) /
             (float)log((double)max_distance / (double)exact) * (float)(half - exact);
    bucket = exact + (int64_t)scaled;
    return base + (bucket < half - 1 ? bucket : half - 1);
}
