#include "io/job.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/job_keys.h"
#include "io/job_yaml.h"

#include <stdio.h>
#include <string.h>

static bool is_string(hr_job_key key)
{
    hr_job_type type = hr_job_key_at(key)->type;

    return type == HR_JOB_TEXT || type == HR_JOB_PATH;
}

static hr_status assign_initial(hr_job *job, hr_job_key key)
{
    const hr_job_key_info *info = hr_job_key_at(key);
    hr_job_value value = {
        HR_JOB_LITERAL, info->initial, strlen(info->initial), {"table", 0, 0}};

    return hr_job_key_assign(job, key, info->name, &value);
}

void hr_job_init(hr_job *job)
{
    hr_status status;

    *job = (hr_job){0};
    for (unsigned i = 0; i < HR_KEY_COUNT; i++) {
        if (hr_job_key_at((hr_job_key)i)->initial == NULL || is_string((hr_job_key)i))
            continue;
        status = assign_initial(job, (hr_job_key)i);
        HR_ASSERT(status == HR_OK);
        (void)status;
        job->is_set[i] = false;
    }
}

void hr_job_free(hr_job *job)
{
    hr_free(job->model);
    hr_free(job->prompt);
    hr_free(job->negative_prompt);
    hr_free(job->output_folder);
    hr_job_init(job);
}

/* frames for seconds and seconds for frames; HR_KEY_COUNT for any other key. */
static hr_job_key other_length(hr_job_key key)
{
    if (key == HR_KEY_FRAMES)
        return HR_KEY_SECONDS;
    return key == HR_KEY_SECONDS ? HR_KEY_FRAMES : HR_KEY_COUNT;
}

static bool is_section(void *user, const char *name)
{
    (void)user;
    return hr_job_section_exists(name);
}

static hr_status take_value(void *user, const char *name, const hr_job_value *value,
                            const hr_job_place *key_place)
{
    hr_job *job = user;
    hr_job_key key = hr_job_key_find(name), other = other_length(key);

    if (key == HR_KEY_COUNT)
        return hr_job_refuse_name(name, name, value, key_place);
    if (other != HR_KEY_COUNT && job->is_set[other])
        return hr_job_refuse(key_place, "%s: not together with %s", name,
                             hr_job_key_at(other)->name);
    return hr_job_key_assign(job, key, name, value);
}

/* The job read replaces the old one when all went well. */
static hr_status take_over(hr_job *job, hr_job *read, hr_status status)
{
    if (status != HR_OK) {
        hr_job_free(read);
        return status;
    }
    hr_job_free(job);
    *job = *read;
    return HR_OK;
}

hr_status hr_job_load(const char *path, hr_job *job)
{
    hr_job read;
    hr_yaml_visitor visitor = {&read, is_section, take_value};

    hr_job_init(&read);
    return take_over(job, &read, hr_yaml_read(path, HR_JOB_MAX_BYTES, &visitor));
}

hr_status hr_job_parse(const char *path, const char *text, size_t n_bytes, hr_job *job)
{
    hr_job read;
    hr_yaml_visitor visitor = {&read, is_section, take_value};

    hr_job_init(&read);
    return take_over(job, &read, hr_yaml_parse(path, text, n_bytes, &visitor));
}

hr_status hr_job_set(hr_job *job, const char *origin, const char *assignment)
{
    hr_job_value value = {.kind = HR_JOB_LITERAL, .place = {.origin = origin}};
    const char *equals = strchr(assignment, '=');
    size_t length = strlen(assignment), bad = hr_utf8_check(assignment, length);
    char name[4 * HR_JOB_NAME_BYTES]; /* a cut name is still longer than any key */
    hr_job_key key;

    if (bad < length)
        return hr_job_refuse(&value.place, "byte 0x%02x is not UTF-8",
                             (unsigned)(unsigned char)assignment[bad]);
    if (equals == NULL)
        return hr_job_refuse(&value.place, "%.200s: expected KEY=VALUE", assignment);
    snprintf(name, sizeof name, "%.*s", (int)(equals - assignment), assignment);
    value.text = equals + 1;
    value.length = strlen(value.text);
    key = hr_job_key_find(name);
    if (key == HR_KEY_COUNT)
        return hr_job_refuse_name(name, name, &value, &value.place);
    return hr_job_key_assign(job, key, name, &value);
}

hr_status hr_job_merge(hr_job *job, const hr_job *defaults)
{
    hr_job_key key, other;

    for (unsigned i = 0; i < HR_KEY_COUNT; i++) {
        key = (hr_job_key)i;
        other = other_length(key);
        if (!defaults->is_set[i] || job->is_set[i] ||
            (other != HR_KEY_COUNT && job->is_set[other]))
            continue;
        HR_TRY(hr_job_key_copy(job, defaults, key));
    }
    return HR_OK;
}

hr_status hr_job_fill(hr_job *job)
{
    for (unsigned i = 0; i < HR_KEY_COUNT; i++)
        if (!job->is_set[i] && hr_job_key_at((hr_job_key)i)->initial != NULL)
            HR_TRY(assign_initial(job, (hr_job_key)i));
    return HR_OK;
}

const char *hr_job_key_name(hr_job_key key)
{
    return hr_job_key_at(key)->name;
}

hr_status hr_job_write_yaml(const hr_job *job, hr_text *out)
{
    const char *name, *dot, *section = "";
    size_t length = 0;

    for (unsigned i = 0; i < HR_KEY_COUNT; i++) {
        if (!job->is_set[i])
            continue;
        name = hr_job_key_at((hr_job_key)i)->name;
        dot = strchr(name, '.');
        if (dot != NULL &&
            (length != (size_t)(dot - name) || strncmp(name, section, length) != 0)) {
            section = name;
            length = (size_t)(dot - name);
            HR_TRY(hr_text_printf(out, "%.*s:\n", (int)length, name));
        }
        if (dot != NULL)
            HR_TRY(hr_text_printf(out, "  %s: ", dot + 1));
        else
            HR_TRY(hr_text_printf(out, "%s: ", name));
        HR_TRY(hr_job_write_value(job, (hr_job_key)i, out));
        HR_TRY(hr_text_add(out, "\n"));
    }
    return HR_OK;
}

static hr_status describe_key(hr_job_key key, bool markdown, hr_text *out)
{
    const hr_job_key_info *info = hr_job_key_at(key);
    const char *shown = info->shown != NULL ? info->shown : info->initial;
    hr_text range = {0};
    hr_status status = hr_job_key_range(key, &range);

    if (status == HR_OK && markdown)
        status = hr_text_printf(out, "| `%s` | %s | %s | %s |\n", info->name, range.s,
                                shown, info->help);
    else if (status == HR_OK)
        status = hr_text_printf(out, "  %-21s %s [%s]\n      %s\n", info->name, range.s,
                                shown, info->help);
    hr_text_free(&range);
    return status;
}

hr_status hr_job_describe_keys(bool markdown, hr_text *out)
{
    if (markdown)
        HR_TRY(
            hr_text_add(out, "| key | values | default | what |\n|---|---|---|---|\n"));
    for (unsigned i = 0; i < HR_KEY_COUNT; i++)
        HR_TRY(describe_key((hr_job_key)i, markdown, out));
    return HR_OK;
}
