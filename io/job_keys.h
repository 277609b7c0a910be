/* The table of all keys of the job file, and what is done with one key and one value.
 * Local.
 *
 * A new key is a row in job_keys.c, an enum value and a field in job.h; parser, --help
 * and configs/README.md follow. For job*.c and model_entry.c only: others use job.h. */
#ifndef HR_IO_JOB_KEYS_H
#define HR_IO_JOB_KEYS_H

#include "base/status.h"
#include "base/text.h"
#include "io/job.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum hr_job_type {
    HR_JOB_TEXT = 0,   /* char *, may be empty */
    HR_JOB_PATH,       /* char *, not empty */
    HR_JOB_CHOICE,     /* an enum, one of `choices` */
    HR_JOB_WHOLE,      /* int64_t in min..max */
    HR_JOB_AUTO_WHOLE, /* int64_t in min..max, or "auto", which is 0 */
    HR_JOB_NUMBER,     /* double in min..max, finite */
    HR_JOB_SEED,       /* any uint64_t */
    HR_JOB_INTERVAL    /* hr_interval */
} hr_job_type;

typedef struct hr_job_key_info {
    const char *name; /* "video.width" */
    hr_job_type type;
    size_t offset; /* of the field in hr_job */
    double min, max;
    const char *const *choices; /* in the order of the enum, ends with NULL */
    const char *initial; /* the table's own default as it would be written, or NULL */
    const char *shown;   /* the default as people read it */
    const char *help;
} hr_job_key_info;

enum { HR_JOB_NAME_BYTES = 64 }; /* more than any key's name, with its NUL */

/* Where something was written. line 0: not a file, only the origin is shown. */
typedef struct hr_job_place {
    const char *origin;
    size_t line, column; /* from 1, in characters */
} hr_job_place;

typedef enum hr_job_kind {
    HR_JOB_PLAIN = 0, /* a YAML scalar without quotes */
    HR_JOB_QUOTED,    /* with quotes, or a block */
    HR_JOB_LITERAL,   /* of the command line: as it is */
    HR_JOB_LIST,
    HR_JOB_MAPPING
} hr_job_kind;

/* What was written. Borrowed. */
typedef struct hr_job_value {
    hr_job_kind kind;
    const char *text; /* NUL-terminated; NULL for a list or a mapping */
    size_t length;
    hr_job_place place;
} hr_job_value;

const hr_job_key_info *hr_job_key_at(hr_job_key key);
/* HR_KEY_COUNT when there is none. */
hr_job_key hr_job_key_find(const char *name);
/* Whether `name` is what stands before the dot of some key ("video"). */
bool hr_job_section_exists(const char *name);

/* Checks the value and puts it into its field, which is then set. `name` is for messages.
 */
hr_status hr_job_key_assign(hr_job *job, hr_job_key key, const char *name,
                            const hr_job_value *value);
/* job->field = from->field. */
hr_status hr_job_key_copy(hr_job *job, const hr_job *from, hr_job_key key);
/* Appends "1..1000" or "mp4, png, none". */
hr_status hr_job_key_range(hr_job_key key, hr_text *out);

/* Log one line and return HR_ERR_ARG: "PLACE: ...", the same for a value that is no whole
 * number in min..max, and for a name that is no key: a section without its mapping, or
 * unknown, with the nearest known one. `key` is the name without a prefix that the table
 * does not know. */
hr_status hr_job_refuse(const hr_job_place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
hr_status hr_job_refuse_value(const char *name, const hr_job_value *value,
                              const char *expected);
hr_status hr_job_refuse_name(const char *name, const char *key, const hr_job_value *value,
                             const hr_job_place *key_place);

/* The whole number in the text, without sign, leading zeros or blanks. False when it is
 * none or larger than max. */
bool hr_job_scan_whole(const char *text, uint64_t max, uint64_t *out);

#endif
