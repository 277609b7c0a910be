#include "model/config_parts.h"

#include "base/log.h"

#include <string.h>

enum { MAX_FILE_BYTES = 1 << 20 };

hr_status hr_config_status(hr_status status)
{
    return status == HR_ERR_FORMAT || status == HR_ERR_IO ? HR_ERR_MODEL : status;
}

hr_status hr_config_file_open(const char *path, hr_config_file *out)
{
    hr_json *json;

    HR_TRY(hr_config_status(hr_json_open(path, MAX_FILE_BYTES, &json)));
    out->path = path;
    out->json = json;
    out->root = hr_json_root(json);
    return HR_OK;
}

void hr_config_file_close(hr_config_file *file)
{
    hr_json_close(file->json);
}

int64_t *hr_config_int_at(void *base, const hr_config_int *key)
{
    return (int64_t *)(void *)((char *)base + key->offset);
}

hr_status hr_config_read_ints(const hr_config_file *f, const hr_config_int *keys,
                              size_t n, void *out)
{
    for (size_t i = 0; i < n; i++) {
        int64_t *value = hr_config_int_at(out, &keys[i]);

        *value = keys[i].fallback;
        HR_TRY(hr_config_status(hr_json_read_i64(f->json, f->root, keys[i].name,
                                                 keys[i].min, keys[i].max, value)));
    }
    return HR_OK;
}

hr_status hr_config_check_bools(const hr_config_file *f, const hr_config_bool *keys,
                                size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool value = keys[i].value;

        HR_TRY(
            hr_config_status(hr_json_read_bool(f->json, f->root, keys[i].name, &value)));
        if (value != keys[i].value)
            return hr_fail(HR_ERR_MODEL, "%s: %s: found %s, expected %s (not supported)",
                           f->path, keys[i].name, value ? "true" : "false",
                           keys[i].value ? "true" : "false");
    }
    return HR_OK;
}

hr_status hr_config_check_words(const hr_config_file *f, const hr_config_word *keys,
                                size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *value = keys[i].value;

        HR_TRY(hr_config_status(
            hr_json_read_string(f->json, f->root, keys[i].name, &value)));
        if (strcmp(value, keys[i].value) != 0)
            return hr_fail(HR_ERR_MODEL, "%s: %s: found %s, expected %s (not supported)",
                           f->path, keys[i].name, value, keys[i].value);
    }
    return HR_OK;
}

hr_status hr_config_refuse(const hr_config_file *f, const char *key, int64_t found,
                           const char *expected)
{
    return hr_fail(HR_ERR_MODEL, "%s: %s: found %lld, expected %s", f->path, key,
                   (long long)found, expected);
}

/* 1e-6 is the reference's default everywhere. */
hr_status hr_config_read_eps(const hr_config_file *f, const char *key, float *out)
{
    double eps = 1e-6;

    HR_TRY(hr_config_status(hr_json_read_f64(f->json, f->root, key, &eps)));
    if (!(eps > 0.0 && eps < 1.0))
        return hr_fail(HR_ERR_MODEL, "%s: %s: found %g, expected a number in (0, 1)",
                       f->path, key, eps);
    *out = (float)eps;
    return HR_OK;
}
