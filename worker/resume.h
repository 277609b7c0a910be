/* Inside worker/ only: going on from a checkpoint, with any layout. */
#ifndef HR_WORKER_RESUME_H
#define HR_WORKER_RESUME_H

#include "worker/stepper.h"

/* The checkpoint that the render goes on from; NULL: from noise (and always on a dry
 * device). */
const char *hr_resume_path(const hr_worker *worker, const hr_render *render);

/* Local. The text embeddings of the file become those of the render's texts, in place of
 * hr_text_stage. */
hr_status hr_resume_texts(hr_worker *worker, const hr_render *render);

/* Local, into new parts: rounds, own frames, and what waits for this rank. What does not
 * fit together: HR_ERR_CHECKPOINT, logged. */
hr_status hr_resume_frames(const hr_stepper_parts *parts);

#endif
