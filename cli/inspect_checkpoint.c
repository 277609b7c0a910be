#include "cli/inspect.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/checkpoint.h"
#include "io/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SHOWN_BYTES = 200 };

bool hr_inspect_is_checkpoint(const char *path)
{
    static const char begin[] = "haloreel checkpoint ";
    char found[sizeof begin] = "";
    FILE *file = fopen(path, "re");
    size_t n = strlen(path);
    bool is_one;

    if (file == NULL)
        return false;
    is_one = fread(found, 1, sizeof begin - 1, file) == sizeof begin - 1 &&
             strcmp(found, begin) == 0;
    fclose(file);
    return is_one || (n > 3 && strcmp(path + n - 3, ".h5") == 0);
}

/* Does something with each line "KEY<tab>VALUE" of a text. */
typedef hr_status (*line_fn)(hr_text *out, const char *key, const char *value,
                             bool is_first);

static hr_status for_lines(const char *lines, line_fn each, hr_text *out)
{
    char *copy = hr_strdup(lines), *rest = copy, *line;
    hr_status status = HR_OK;
    bool is_first = true;

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the head of a checkpoint");
    while (status == HR_OK && (line = strsep(&rest, "\n")) != NULL) {
        const char *key = strsep(&line, "\t");

        if (line == NULL)
            continue;
        status = each(out, key, line, is_first);
        is_first = false;
    }
    hr_free(copy);
    return status;
}

static hr_status add_plain(hr_text *out, const char *key, const char *value,
                           bool is_first)
{
    (void)is_first;
    HR_TRY(hr_text_add(out, "    "));
    HR_TRY(hr_text_add_shown(out, key, SHOWN_BYTES));
    HR_TRY(hr_text_add(out, ": "));
    HR_TRY(hr_text_add_shown(out, value, SHOWN_BYTES));
    return hr_text_add(out, "\n");
}

static hr_status add_member(hr_text *out, const char *key, const char *value,
                            bool is_first)
{
    HR_TRY(hr_text_add(out, is_first ? "\n    " : ",\n    "));
    HR_TRY(hr_json_add_string(out, key));
    HR_TRY(hr_text_add(out, ": "));
    return hr_json_add_string(out, value);
}

static hr_status add_text(const hr_checkpoint_head *head, const char *path,
                          uint64_t bytes, hr_text *out)
{
    char size[16];

    HR_TRY(hr_text_printf(out, "%s: ", path));
    if (head->steps_done == head->n_steps)
        HR_TRY(hr_text_printf(out, "latents after all %d steps", head->n_steps));
    else
        HR_TRY(hr_text_printf(out,
                              "checkpoint at step %d of %d, %" PRId64 " windows done "
                              "beyond it",
                              head->steps_done, head->n_steps, head->n_rounds));
    HR_TRY(hr_text_printf(
        out,
        "; whole, %s\n  %" PRId64 " latent frames of %" PRId64 "x%" PRId64 "x%" PRId64
        ", each with %d tensors of the sampler; %" PRId64 " frames on their way\n",
        hr_format_bytes(bytes, size), head->n_frames, head->channels, head->height,
        head->width, head->n_history, head->n_pending));
    HR_TRY(hr_text_add(out, "  job\n"));
    HR_TRY(for_lines(head->job, add_plain, out));
    HR_TRY(hr_text_add(out, "  model\n"));
    return for_lines(head->model, add_plain, out);
}

static hr_status add_json(const hr_checkpoint_head *head, uint64_t bytes, hr_text *out)
{
    HR_TRY(hr_text_printf(
        out,
        "{\n  \"bytes\": %" PRIu64 ",\n  \"steps_done\": %d,\n  \"steps\": %d,\n"
        "  \"rounds_done\": %" PRId64 ",\n  \"rounds_beyond\": %" PRId64
        ",\n  \"pending\": %" PRId64 ",\n  \"latents\": [%" PRId64 ", %" PRId64
        ", %" PRId64 ", %" PRId64 "],\n  \"history\": %d,\n  \"job\": {",
        bytes, head->steps_done, head->n_steps, head->rounds_done, head->n_rounds,
        head->n_pending, head->n_frames, head->channels, head->height, head->width,
        head->n_history));
    HR_TRY(for_lines(head->job, add_member, out));
    HR_TRY(hr_text_add(out, "\n  },\n  \"model\": {"));
    HR_TRY(for_lines(head->model, add_member, out));
    return hr_text_add(out, "\n  }\n}\n");
}

hr_status hr_inspect_checkpoint(const char *path, bool json)
{
    hr_checkpoint *file;
    hr_text text = {0};
    struct stat info;
    uint64_t bytes = stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
    hr_status status;

    HR_TRY(hr_checkpoint_verify(NULL, path));
    HR_TRY(hr_checkpoint_open(path, &file));
    status = json ? add_json(hr_checkpoint_get_head(file), bytes, &text)
                  : add_text(hr_checkpoint_get_head(file), path, bytes, &text);
    if (status == HR_OK)
        fputs(text.s, stdout);
    hr_text_free(&text);
    hr_checkpoint_close(file);
    return status;
}
