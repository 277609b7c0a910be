/* The checkpoints of a run: their names, the newest, and how many are kept. Local; rank 0
 * alone calls it. */
#ifndef HR_IO_CHECKPOINT_FOLDER_H
#define HR_IO_CHECKPOINT_FOLDER_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* FOLDER/step-0012-00034.h5: steps done for all frames, rounds done in all. hr_free it.
 */
hr_status hr_checkpoint_path(const char *folder, int steps_done, int64_t rounds_done,
                             char **out);

/* All checkpoints of the folder, newest first; a folder that is not there has none.
 * Names of other kinds are not looked at. Caller frees with hr_checkpoint_list_free. */
hr_status hr_checkpoint_list(const char *folder, char ***paths, size_t *n);
void hr_checkpoint_list_free(char **paths, size_t n);

/* The newest checkpoint that is whole by its seal, hr_free it; NULL where none is.
 * Damaged ones are logged. *n: how many checkpoints there are, whole or not. */
hr_status hr_checkpoint_find_whole(const char *folder, char **out, size_t *n);

/* After a save of `newest`: removes what sorts behind it (damaged ones, of a past that
 * was given up), then all but the newest `keep`, and parts that a killed process left. */
hr_status hr_checkpoint_prune(const char *folder, const char *newest, size_t keep);

#endif
