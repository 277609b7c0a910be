/* The subset of YAML that job files and model entries use: one document, mappings of
 * scalars, nested by name. Local.
 *
 * Refused with one line "FILE:LINE:COLUMN: ..." and HR_ERR_ARG: what is not UTF-8, tabs
 * and other control characters, anchors, aliases, tags, a key twice, a second document,
 * an empty file. A byte order mark is fine. */
#ifndef HR_IO_JOB_YAML_H
#define HR_IO_JOB_YAML_H

#include "io/job_keys.h"

/* Called for the keys in the order of the file. `name` is the whole way to it, with dots.
 */
typedef struct hr_yaml_visitor {
    void *user;
    /* Whether a mapping may stand under this name. */
    bool (*is_section)(void *user, const char *name);
    /* Everything else, lists, unwanted mappings and unknown names included, which it
     * refuses. */
    hr_status (*value)(void *user, const char *name, const hr_job_value *value,
                       const hr_job_place *key_place);
} hr_yaml_visitor;

/* A file of at most max_bytes; one that cannot be read is HR_ERR_ARG too. */
hr_status hr_yaml_read(const char *path, size_t max_bytes,
                       const hr_yaml_visitor *visitor);
/* The same from memory; `path` is for messages. */
hr_status hr_yaml_parse(const char *path, const char *text, size_t n_bytes,
                        const hr_yaml_visitor *visitor);

#endif
