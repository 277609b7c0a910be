#include "io/job_folder.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/out_file.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_RUNS_BYTES = 64 << 20, FOLDERS_DEEP = 2 };

static bool scan_whole(const char **text, uint64_t *out)
{
    char *end;

    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    *out = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0;
}

bool hr_job_id_scan(const char *text, hr_job_id *out)
{
    hr_job_id id = {0};

    if (!scan_whole(&text, &id.job))
        return false;
    if (*text == '_') {
        text++;
        if (!scan_whole(&text, &id.task) || id.task == 0)
            return false;
    }
    if (*text != '\0')
        return false;
    *out = id;
    return true;
}

static hr_status name_file(const char *slurm_folder, uint64_t job, hr_text *out)
{
    return hr_text_printf(out, "%s/job-%" PRIu64 ".runs", slurm_folder, job);
}

hr_status hr_job_folder_note(const char *slurm_folder, uint64_t job,
                             const char *const *runs, size_t n_runs)
{
    hr_text path = {0}, lines = {0};
    hr_status status = name_file(slurm_folder, job, &path);

    for (size_t i = 0; i < n_runs && status == HR_OK; i++)
        status = hr_text_printf(&lines, "%s\n", runs[i]);
    if (status == HR_OK)
        status = hr_out_file_save(path.s, lines.s, lines.length);
    hr_text_free(&lines);
    hr_text_free(&path);
    return status;
}

static hr_status add_path(const char *line, hr_job_runs *out)
{
    void *more = hr_realloc(out->paths, (out->n + 1) * sizeof(char *));

    if (more == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the runs of a job");
    out->paths = more;
    out->paths[out->n] = hr_strdup(line);
    if (out->paths[out->n] == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the runs of a job");
    out->n++;
    return HR_OK;
}

/* Cuts the text up. */
static hr_status take_lines(char *text, uint64_t task, hr_job_runs *out)
{
    char *line;

    for (uint64_t k = 1; (line = strsep(&text, "\n")) != NULL; k++)
        if (*line != '\0' && (task == 0 || task == k))
            HR_TRY(add_path(line, out));
    return HR_OK;
}

hr_status hr_job_folder_read(const char *slurm_folder, const hr_job_id *id,
                             hr_job_runs *out)
{
    hr_text path = {0};
    struct stat info;
    char *text = NULL;
    size_t n_bytes;
    hr_status status = name_file(slurm_folder, id->job, &path);

    *out = (hr_job_runs){0};
    if (status == HR_OK && stat(path.s, &info) == 0)
        status = hr_read_file(path.s, MOST_RUNS_BYTES, &text, &n_bytes);
    if (status == HR_OK && text != NULL)
        status = take_lines(text, id->task, out);
    if (status != HR_OK)
        hr_job_runs_free(out);
    hr_free(text);
    hr_text_free(&path);
    return status;
}

static hr_status find(const char *place, int deep, const hr_job_id *id, hr_job_runs *out);

/* In all folders of this one; those that cannot be read are passed over. */
static hr_status find_inside(const char *place, int deep, const hr_job_id *id,
                             hr_job_runs *out)
{
    DIR *folder = hr_fault("file.open") ? NULL : opendir(place);
    struct dirent *entry;
    hr_text path = {0};
    hr_status status = HR_OK;

    while (folder != NULL && status == HR_OK && out->n == 0 &&
           (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.' ||
            (entry->d_type != DT_DIR && entry->d_type != DT_LNK &&
             entry->d_type != DT_UNKNOWN))
            continue;
        path.length = 0;
        status = hr_text_printf(&path, "%s/%s", place, entry->d_name);
        if (status == HR_OK)
            status = find(path.s, deep - 1, id, out);
    }
    if (folder != NULL)
        closedir(folder);
    hr_text_free(&path);
    return status;
}

static hr_status find(const char *place, int deep, const hr_job_id *id, hr_job_runs *out)
{
    hr_text slurm = {0};
    hr_status status = hr_text_printf(&slurm, "%s/slurm", place);

    if (status == HR_OK)
        status = hr_job_folder_read(slurm.s, id, out);
    hr_text_free(&slurm);
    if (status != HR_OK || out->n > 0 || deep == 0)
        return status;
    return find_inside(place, deep, id, out);
}

hr_status hr_job_folder_find(const char *place, const hr_job_id *id, hr_job_runs *out)
{
    *out = (hr_job_runs){0};
    return find(place, FOLDERS_DEEP, id, out);
}

void hr_job_runs_free(hr_job_runs *runs)
{
    for (size_t i = 0; i < runs->n; i++)
        hr_free(runs->paths[i]);
    hr_free(runs->paths);
    *runs = (hr_job_runs){0};
}
