#include "cli/cli.h"

#include "base/log.h"
#include "io/receipt.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

enum { EXIT_DIFFERENT = 1 };

typedef struct compare_options {
    const char *path[2];
    int n_paths;
} compare_options;

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    compare_options *options = state->input;

    if (key == ARGP_KEY_ARG && options->n_paths < 2)
        options->path[options->n_paths++] = value;
    else if (key == ARGP_KEY_ARG)
        argp_error(state, "two runs only");
    else if (key == ARGP_KEY_END && options->n_paths < 2)
        argp_error(state, "compare what? give two run folders or receipts");
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* A run folder stands for its receipt. */
static hr_status read_receipt(const char *path, hr_receipt **out)
{
    struct stat info;
    hr_text file = {0};
    hr_status status;

    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return hr_receipt_read(path, out);
    status = hr_text_printf(&file, "%s/receipt.json", path);
    if (status == HR_OK && stat(file.s, &info) != 0)
        status = hr_fail(HR_ERR_ARG,
                         "folder %s: no receipt.json: not a run folder, or its run did "
                         "not come to an end",
                         path);
    if (status == HR_OK)
        status = hr_receipt_read(file.s, out);
    hr_text_free(&file);
    return status;
}

static hr_status compare(const hr_receipt *a, const hr_receipt *b, bool *same)
{
    hr_text difference = {0};
    int64_t n_steps, n_latent_frames, n_frames;

    HR_TRY(hr_receipt_compare(a, b, &difference));
    *same = difference.length == 0;
    hr_receipt_sizes(a, &n_steps, &n_latent_frames, &n_frames);
    if (*same)
        printf("the same video: %" PRId64 " latent frames after each of %" PRId64
               " steps, %" PRId64 " frames\n",
               n_latent_frames, n_steps, n_frames);
    else
        printf("different: %s\n", difference.s);
    hr_text_free(&difference);
    return HR_OK;
}

static hr_status compare_files(const compare_options *options, bool *same)
{
    hr_receipt *a = NULL, *b = NULL;
    hr_status status = read_receipt(options->path[0], &a);

    if (status == HR_OK)
        status = read_receipt(options->path[1], &b);
    if (status == HR_OK)
        status = compare(a, b, same);
    hr_receipt_free(a);
    hr_receipt_free(b);
    return status == HR_ERR_IO ? HR_ERR_ARG : status;
}

int hr_cmd_compare(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,
        parse_option,
        "A B",
        "Compares two runs by their receipts; A and B are run folders or receipt "
        "files. Says whether they are the same video, or names the first step and "
        "latent frame, or frame, that differs.\v"
        "Steps count from 1, frames from 0. Machines, ranks and layouts may differ: they "
        "do not change a video.\n\n"
        "Exit codes: 0 the same; 1 different; 2 usage, or one of them cannot be read.",
        NULL,
        NULL,
        NULL};
    compare_options options = {0};
    bool same = false;
    hr_status status;

    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return HR_EXIT_USAGE;
    status = compare_files(&options, &same);
    if (status == HR_OK && !same)
        return EXIT_DIFFERENT;
    return hr_exit_code(status);
}
