/* The job: what the user asked for. Read from YAML, from --set, from a model entry's
 * defaults. Local.
 *
 * job_keys.c holds the one table of all keys (name, type, range, default, help); parser,
 * --help and configs/README.md come from it. Messages are "FILE:LINE:COLUMN: KEY: FOUND
 * is not in RANGE" (for
 * --set: "--set: KEY: ..."), one line, HR_ERR_ARG. */
#ifndef HR_IO_JOB_H
#define HR_IO_JOB_H

#include "base/status.h"
#include "base/text.h"
#include "io/interval.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HR_JOB_DEFAULT_MODEL "demo"
#define HR_JOB_MAX_BYTES ((size_t)1 << 20) /* of a job file */

typedef enum hr_job_style {
    HR_STYLE_NONE = 0,
    HR_STYLE_PHOTOREALISTIC,
    HR_STYLE_ANIMATED
} hr_job_style;
typedef enum hr_job_sampler {
    HR_JOB_UNIPC = 0,
    HR_JOB_EULER,
    HR_JOB_DPMPP
} hr_job_sampler;
typedef enum hr_job_sigmas { HR_JOB_SIGMAS_037 = 0, HR_JOB_SIGMAS_036 } hr_job_sigmas;
typedef enum hr_job_rng { HR_JOB_PHILOX = 0, HR_JOB_TORCH } hr_job_rng;
typedef enum hr_job_device {
    HR_JOB_AUTO = 0,
    HR_JOB_CPU,
    HR_JOB_CUDA,
    HR_JOB_STRICT
} hr_job_device;
typedef enum hr_job_numerics {
    HR_JOB_EXACT = 0,
    HR_JOB_FAST,
    HR_JOB_F32
} hr_job_numerics;
typedef enum hr_job_grid { HR_GRID_MOVING = 0, HR_GRID_FIXED } hr_job_grid;
typedef enum hr_job_noise { HR_NOISE_RESCHEDULED = 0, HR_NOISE_INDEPENDENT } hr_job_noise;
typedef enum hr_job_blend { HR_BLEND_RAMP = 0, HR_BLEND_TRIANGLE } hr_job_blend;
typedef enum hr_job_anchor {
    HR_ANCHOR_NONE = 0,
    HR_ANCHOR_PREVIOUS,
    HR_ANCHOR_FIRST
} hr_job_anchor;
typedef enum hr_job_decode { HR_DECODE_STREAMED = 0, HR_DECODE_WINDOWED } hr_job_decode;
typedef enum hr_job_video { HR_JOB_MP4 = 0, HR_JOB_PNG, HR_JOB_NO_VIDEO } hr_job_video;

/* Which keys a job sets; the others are to be filled in from the model (hr_job_merge).
 * The order is that of the table. */
typedef enum hr_job_key {
    HR_KEY_MODEL = 0,        /* model */
    HR_KEY_PROMPT,           /* prompt */
    HR_KEY_NEGATIVE_PROMPT,  /* negative_prompt */
    HR_KEY_STYLE,            /* style */
    HR_KEY_TEXT_LENGTH,      /* text_length */
    HR_KEY_DEVICE,           /* device */
    HR_KEY_THREADS,          /* threads: 0 is auto */
    HR_KEY_NUMERICS,         /* numerics */
    HR_KEY_WIDTH,            /* video.width */
    HR_KEY_HEIGHT,           /* video.height */
    HR_KEY_FRAMES,           /* video.frames */
    HR_KEY_SECONDS,          /* video.seconds */
    HR_KEY_FPS,              /* video.fps */
    HR_KEY_SAMPLER,          /* sampler.name */
    HR_KEY_STEPS,            /* sampler.steps */
    HR_KEY_GUIDANCE,         /* sampler.guidance */
    HR_KEY_GUIDANCE_2,       /* sampler.guidance_2 */
    HR_KEY_SHIFT,            /* sampler.shift */
    HR_KEY_SIGMAS,           /* sampler.sigmas */
    HR_KEY_SEED,             /* sampler.seed */
    HR_KEY_RNG,              /* sampler.rng */
    HR_KEY_WINDOW_FRAMES,    /* windows.frames */
    HR_KEY_WINDOW_OVERLAP,   /* windows.overlap */
    HR_KEY_GRID,             /* windows.grid */
    HR_KEY_NOISE,            /* windows.noise */
    HR_KEY_BLEND,            /* windows.blend */
    HR_KEY_ANCHOR,           /* windows.anchor */
    HR_KEY_DECODE,           /* windows.decode */
    HR_KEY_LAYOUT_WINDOWS,   /* layout.windows: 0 is auto, as for the next three */
    HR_KEY_LAYOUT_STAGES,    /* layout.stages */
    HR_KEY_LAYOUT_TENSOR,    /* layout.tensor */
    HR_KEY_LAYOUT_CFG,       /* layout.cfg */
    HR_KEY_DEADLINE,         /* layout.deadline: seconds */
    HR_KEY_OUTPUT_FOLDER,    /* output.folder */
    HR_KEY_OUTPUT_VIDEO,     /* output.video */
    HR_KEY_PREVIEW_EVERY,    /* output.preview_every: steps, 0 is never */
    HR_KEY_CHECKPOINT_EVERY, /* checkpoint.every */
    HR_KEY_CHECKPOINT_KEEP,  /* checkpoint.keep */
    HR_KEY_COUNT
} hr_job_key;

typedef struct hr_job {
    char *model, *prompt, *negative_prompt, *output_folder; /* owned; NULL when not set */
    hr_job_style style;
    hr_job_device device;
    hr_job_numerics numerics;
    int64_t text_length, threads;
    int64_t width, height, frames;
    double seconds, fps;
    hr_job_sampler sampler;
    hr_job_sigmas sigmas;
    hr_job_rng rng;
    int64_t steps;
    double guidance, guidance_2, shift;
    uint64_t seed;
    int64_t window_frames, window_overlap; /* of the video */
    hr_job_grid grid;
    hr_job_noise noise;
    hr_job_blend blend;
    hr_job_anchor anchor;
    hr_job_decode decode;
    int64_t layout_windows, layout_stages, layout_tensor, layout_cfg;
    double deadline;
    hr_job_video video;
    int64_t preview_every;
    hr_interval checkpoint_every;
    int64_t checkpoint_keep;
    bool is_set[HR_KEY_COUNT];
} hr_job;

/* An empty job: nothing set, the table's own defaults in the fields that have one (not
 * the strings, which are NULL). */
void hr_job_init(hr_job *job);
/* Frees the strings; takes an initialised job and leaves one. */
void hr_job_free(hr_job *job);

/* Reads a job file (at most HR_JOB_MAX_BYTES, UTF-8) in place of what the initialised job
 * held. Unknown and duplicate keys, tabs, wrong types, values out of range, anchors and
 * aliases, several documents and empty files are refused, frames together with seconds
 * too; the job is then as before. A file that cannot be read is HR_ERR_ARG as well. Keys
 * below `video:` may also be written as `video.width: 128`. */
hr_status hr_job_load(const char *path, hr_job *job);
/* The same from memory; `path` is for messages. */
hr_status hr_job_parse(const char *path, const char *text, size_t n_bytes, hr_job *job);
/* "key=value" as given to --set; numbers and choices as in a file, text as it stands (no
 * quotes to remove, may be empty). `origin` starts the message ("--set", "--seed"). A key
 * set twice: the later one holds; so do frames and seconds replace each other. */
hr_status hr_job_set(hr_job *job, const char *origin, const char *assignment);

/* Takes from `defaults` every key that `job` does not set. (frames and seconds exclude
 * each other: a job that sets one does not take the other.) After HR_ERR_NOMEM some are
 * taken. */
hr_status hr_job_merge(hr_job *job, const hr_job *defaults);
/* Sets every key not yet set that has a default of its own in the table (model,
 * negative_prompt, device, ...), as the last step of resolving a job: what is not set
 * then has to be known from elsewhere (prompt, seed, the model's). */
hr_status hr_job_fill(hr_job *job);

/* The job as YAML with all set keys, in table order: a job file that hr_job_load reads
 * back. */
hr_status hr_job_write_yaml(const hr_job *job, hr_text *out);
/* "video.width" */
const char *hr_job_key_name(hr_job_key key);
/* One key's value as in a job file ("unipc", "3.5"), set or not; strings must be. */
hr_status hr_job_write_value(const hr_job *job, hr_job_key key, hr_text *out);

/* The table for people: "key, values, default, what" as aligned text (for --help) or as
 * the Markdown table of configs/README.md. */
hr_status hr_job_describe_keys(bool markdown, hr_text *out);

/* What configs/models/NAME.yaml says of a model: its folder (relative to the entry's own
 * folder, or absolute), the defaults as a job, the number of frames it was trained on,
 * and its style phrases. Keys: folder, trained_frames, styles.photorealistic,
 * styles.animated, defaults.KEY. */
typedef struct hr_model_entry {
    char *folder;    /* resolved path */
    hr_job defaults; /* keys of the job file under `defaults:` */
    int64_t trained_frames;
    char *style_phrase[3]; /* by hr_job_style; NULL where there is none */
} hr_model_entry;

/* Reads the entry `model` names: NAME -> CONFIGS/models/NAME.yaml; a path to a folder
 * with model_index.json -> an entry with that folder and the general defaults of
 * CONFIGS/models/wan.yaml. Neither: HR_ERR_MODEL with the names there are. `configs` is
 * the folder configs/. Caller frees. A name wins over a folder of the same name; "./NAME"
 * is the folder. */
hr_status hr_model_entry_load(const char *configs, const char *model,
                              hr_model_entry *out);
/* Takes a zeroed entry, too, and leaves one. */
void hr_model_entry_free(hr_model_entry *entry);

/* Appends the prompt with the model's phrase for the style, as a caption would have it:
 * blanks, full stops and commas at its end give way to ", PHRASE."; after ! and ? it is a
 * sentence of its own. A prompt that has the phrase already (in any case), and style
 * none: the prompt as it is. A model without such a phrase: HR_ERR_ARG. */
hr_status hr_model_entry_style_prompt(const hr_model_entry *entry, hr_job_style style,
                                      const char *prompt, hr_text *out);

/* The folder configs/ of this installation: $HALOREEL_CONFIGS, or beside the program
 * (../configs, ../share/haloreel/configs). HR_ERR_IO (logged with the places tried) when
 * there is none. Caller hr_frees. */
hr_status hr_configs_folder(char **out);

#endif
