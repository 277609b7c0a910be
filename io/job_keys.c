#include "io/job_keys.h"

#include "base/assert.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const styles[] = {"none", "photorealistic", "animated", NULL};
static const char *const devices[] = {"auto", "cpu", "cuda", "strict", NULL};
static const char *const numerics[] = {"exact", "fast", "f32", NULL};
static const char *const samplers[] = {"unipc", "euler", "dpm++", NULL};
static const char *const sigma_tables[] = {"diffusers-0.37", "diffusers-0.36", NULL};
static const char *const generators[] = {"philox", "torch", NULL};
static const char *const grids[] = {"moving", "fixed", NULL};
static const char *const noises[] = {"rescheduled", "independent", NULL};
static const char *const blends[] = {"ramp", "triangle", NULL};
static const char *const anchors[] = {"none", "previous", "first", NULL};
static const char *const decodes[] = {"streamed", "windowed", NULL};
static const char *const videos[] = {"mp4", "png", "none", NULL};

_Static_assert(sizeof(hr_job_style) == sizeof(unsigned) &&
                   sizeof(hr_job_device) == sizeof(unsigned) &&
                   sizeof(hr_job_numerics) == sizeof(unsigned) &&
                   sizeof(hr_job_sampler) == sizeof(unsigned) &&
                   sizeof(hr_job_sigmas) == sizeof(unsigned) &&
                   sizeof(hr_job_rng) == sizeof(unsigned) &&
                   sizeof(hr_job_grid) == sizeof(unsigned) &&
                   sizeof(hr_job_noise) == sizeof(unsigned) &&
                   sizeof(hr_job_blend) == sizeof(unsigned) &&
                   sizeof(hr_job_anchor) == sizeof(unsigned) &&
                   sizeof(hr_job_decode) == sizeof(unsigned) &&
                   sizeof(hr_job_video) == sizeof(unsigned),
               "a choice is stored as an unsigned");

#define ROW(key, row_name, row_type, field, ...)                                         \
    [key] = {.name = (row_name),                                                         \
             .type = (row_type),                                                         \
             .offset = offsetof(hr_job, field),                                          \
             __VA_ARGS__}
#define RANGE(low, high) .min = (low), .max = (high)
#define OF_MODEL .shown = "the model's"

static const hr_job_key_info table[HR_KEY_COUNT] = {
    ROW(HR_KEY_MODEL, "model", HR_JOB_PATH, model, .initial = HR_JOB_DEFAULT_MODEL,
        .help = "a name under configs/models, or a folder in the diffusers layout"),
    ROW(HR_KEY_PROMPT, "prompt", HR_JOB_TEXT, prompt, .shown = "none: must be given",
        .help = "what the video shows; any UTF-8, several sentences are fine"),
    ROW(HR_KEY_NEGATIVE_PROMPT, "negative_prompt", HR_JOB_TEXT, negative_prompt,
        .initial = "", .shown = "empty", .help = "what it should not show"),
    ROW(HR_KEY_STYLE, "style", HR_JOB_CHOICE, style, .choices = styles, .initial = "none",
        .help = "adds the model's own words for this style to the prompt"),
    ROW(HR_KEY_TEXT_LENGTH, "text_length", HR_JOB_WHOLE, text_length, RANGE(1, 4096),
        .initial = "512", .shown = "the model's (512)",
        .help = "tokens that the text is cut or padded to"),
    ROW(HR_KEY_DEVICE, "device", HR_JOB_CHOICE, device, .choices = devices,
        .initial = "auto",
        .help = "what computes (this build has no cuda); strict is for tests"),
    ROW(HR_KEY_THREADS, "threads", HR_JOB_AUTO_WHOLE, threads, RANGE(1, 1024),
        .initial = "auto", .help = "threads per rank; the video does not depend on it"),
    ROW(HR_KEY_NUMERICS, "numerics", HR_JOB_CHOICE, numerics, .choices = numerics,
        .initial = "exact",
        .help = "exact and fast: bf16 matrices (fast: bits may differ); f32: all fp32"),
    ROW(HR_KEY_WIDTH, "video.width", HR_JOB_WHOLE, width, RANGE(16, 16384), OF_MODEL,
        .help = "pixels; a multiple of the model's factor"),
    ROW(HR_KEY_HEIGHT, "video.height", HR_JOB_WHOLE, height, RANGE(16, 16384), OF_MODEL,
        .help = "pixels; a multiple of the model's factor"),
    ROW(HR_KEY_FRAMES, "video.frames", HR_JOB_WHOLE, frames, RANGE(1, 1000000), OF_MODEL,
        .help = "4n+1; 1 is a still picture, written as PNG"),
    ROW(HR_KEY_SECONDS, "video.seconds", HR_JOB_NUMBER, seconds, RANGE(0.01, 100000),
        .shown = "frames / fps", .help = "in place of frames: the nearest 4n+1 frames"),
    ROW(HR_KEY_FPS, "video.fps", HR_JOB_NUMBER, fps, RANGE(1, 240), OF_MODEL,
        .help = "frames per second of the file, 23.976 too"),
    ROW(HR_KEY_SAMPLER, "sampler.name", HR_JOB_CHOICE, sampler, .choices = samplers,
        OF_MODEL, .help = "how noise becomes a picture"),
    ROW(HR_KEY_STEPS, "sampler.steps", HR_JOB_WHOLE, steps, RANGE(1, 1000), OF_MODEL,
        .help = "denoising steps"),
    ROW(HR_KEY_GUIDANCE, "sampler.guidance", HR_JOB_NUMBER, guidance, RANGE(0, 100),
        OF_MODEL, .help = "how strictly the prompt is followed; up to 1 without it"),
    ROW(HR_KEY_GUIDANCE_2, "sampler.guidance_2", HR_JOB_NUMBER, guidance_2, RANGE(0, 100),
        .shown = "guidance",
        .help = "the same for the second expert of a two-expert model"),
    ROW(HR_KEY_SHIFT, "sampler.shift", HR_JOB_NUMBER, shift, RANGE(0.01, 100), OF_MODEL,
        .help = "more: longer at high noise"),
    ROW(HR_KEY_SIGMAS, "sampler.sigmas", HR_JOB_CHOICE, sigmas, .choices = sigma_tables,
        .initial = "diffusers-0.37", .help = "whose table of noise levels unipc uses"),
    ROW(HR_KEY_SEED, "sampler.seed", HR_JOB_SEED, seed, .shown = "drawn and logged",
        .help = "the same seed gives the same video"),
    ROW(HR_KEY_RNG, "sampler.rng", HR_JOB_CHOICE, rng, .choices = generators,
        .initial = "philox",
        .help = "generator of the noise; torch is what diffusers draws"),
    ROW(HR_KEY_WINDOW_FRAMES, "windows.frames", HR_JOB_WHOLE, window_frames,
        RANGE(1, 1000000), OF_MODEL,
        .help = "4n+1 frames that are denoised at a time; a longer video has several"),
    ROW(HR_KEY_WINDOW_OVERLAP, "windows.overlap", HR_JOB_WHOLE, window_overlap,
        RANGE(0, 1000000), OF_MODEL,
        .help = "4n frames that neighbouring windows share, less than windows.frames"),
    ROW(HR_KEY_GRID, "windows.grid", HR_JOB_CHOICE, grid, .choices = grids,
        .initial = "moving", .help = "whether borders move from step to step"),
    ROW(HR_KEY_NOISE, "windows.noise", HR_JOB_CHOICE, noise, .choices = noises,
        .initial = "rescheduled",
        .help = "noise of later frames: that of earlier ones, shuffled, or new"),
    ROW(HR_KEY_BLEND, "windows.blend", HR_JOB_CHOICE, blend, .choices = blends,
        .initial = "ramp", .help = "weights of predictions in a window"),
    ROW(HR_KEY_ANCHOR, "windows.anchor", HR_JOB_CHOICE, anchor, .choices = anchors,
        .initial = "first",
        .help = "what a later window sees as its first frame: its own, its own as "
                "context only, or the video's"),
    ROW(HR_KEY_DECODE, "windows.decode", HR_JOB_CHOICE, decode, .choices = decodes,
        OF_MODEL,
        .help = "the VAE's decoder over the whole video, or window by window behind the "
                "first frame"),
    ROW(HR_KEY_LAYOUT_WINDOWS, "layout.windows", HR_JOB_AUTO_WHOLE, layout_windows,
        RANGE(1, 65536), .initial = "auto", .help = "groups of ranks that share windows"),
    ROW(HR_KEY_LAYOUT_STAGES, "layout.stages", HR_JOB_AUTO_WHOLE, layout_stages,
        RANGE(1, 1024), .initial = "auto", .help = "ranks that share the layers"),
    ROW(HR_KEY_LAYOUT_TENSOR, "layout.tensor", HR_JOB_AUTO_WHOLE, layout_tensor,
        RANGE(1, 8), .initial = "auto",
        .help = "ranks that share each layer: a power of two"),
    ROW(HR_KEY_LAYOUT_CFG, "layout.cfg", HR_JOB_AUTO_WHOLE, layout_cfg, RANGE(1, 2),
        .initial = "auto", .help = "2: the two guidance branches on ranks of their own"),
    ROW(HR_KEY_DEADLINE, "layout.deadline", HR_JOB_NUMBER, deadline, RANGE(1, 86400),
        .initial = "600", .help = "seconds after which a silent rank counts as lost"),
    ROW(HR_KEY_OUTPUT_FOLDER, "output.folder", HR_JOB_PATH, output_folder,
        .shown = "runs/NAME", .help = "the run folder"),
    ROW(HR_KEY_OUTPUT_VIDEO, "output.video", HR_JOB_CHOICE, video, .choices = videos,
        .initial = "mp4", .help = "a film, a folder of pictures, or nothing"),
    ROW(HR_KEY_PREVIEW_EVERY, "output.preview_every", HR_JOB_WHOLE, preview_every,
        RANGE(0, 1000), .initial = "5",
        .help = "steps between preview pictures; 0 is never"),
    ROW(HR_KEY_CHECKPOINT_EVERY, "checkpoint.every", HR_JOB_INTERVAL, checkpoint_every,
        .initial = "5min",
        .help = "how often the denoising is saved; at most 2 % of the time goes there"),
    ROW(HR_KEY_CHECKPOINT_KEEP, "checkpoint.keep", HR_JOB_WHOLE, checkpoint_keep,
        RANGE(1, 1000), .initial = "2", .help = "checkpoints that stay; the oldest go"),
};

const hr_job_key_info *hr_job_key_at(hr_job_key key)
{
    HR_ASSERT(key < HR_KEY_COUNT);
    return &table[key];
}

hr_job_key hr_job_key_find(const char *name)
{
    unsigned i = 0;

    while (i < HR_KEY_COUNT && strcmp(table[i].name, name) != 0)
        i++;
    return (hr_job_key)i;
}

static bool is_in_section(const hr_job_key_info *info, const char *section)
{
    size_t n = strlen(section);

    return strncmp(info->name, section, n) == 0 && info->name[n] == '.';
}

bool hr_job_section_exists(const char *name)
{
    for (size_t i = 0; i < HR_KEY_COUNT; i++)
        if (is_in_section(&table[i], name))
            return true;
    return false;
}

hr_status hr_job_key_range(hr_job_key key, hr_text *out)
{
    const hr_job_key_info *info = hr_job_key_at(key);

    switch (info->type) {
    case HR_JOB_TEXT:
        return hr_text_add(out, "text");
    case HR_JOB_PATH:
        return hr_text_add(out, "a path");
    case HR_JOB_SEED:
        return hr_text_printf(out, "0..%llu", (unsigned long long)UINT64_MAX);
    case HR_JOB_INTERVAL:
        return hr_text_add(out, "a time (5min, 30s, 2h), 1steps..1000steps or never");
    case HR_JOB_CHOICE:
        for (size_t i = 0; info->choices[i] != NULL; i++)
            HR_TRY(hr_text_printf(out, "%s%s", i > 0 ? ", " : "", info->choices[i]));
        return HR_OK;
    default:
        return hr_text_printf(out, "%s%.10g..%.10g",
                              info->type == HR_JOB_AUTO_WHOLE ? "auto, " : "", info->min,
                              info->max);
    }
}

hr_status hr_job_refuse(const hr_job_place *place, const char *format, ...)
{
    char message[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (place->line == 0)
        return hr_fail(HR_ERR_ARG, "%s: %s", place->origin, message);
    return hr_fail(HR_ERR_ARG, "%s:%zu:%zu: %s", place->origin, place->line,
                   place->column, message);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap neighbours) from a to b; both shorter than a name
 * may be. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][HR_JOB_NAME_BYTES], n = strlen(b);
    size_t *before = rows[0], *last = rows[1], *now = rows[2], *spare;

    for (size_t j = 0; j <= n; j++)
        last[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            now[j] = least(last[j - 1] + (a[i - 1] != b[j - 1]),
                           least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[n];
}

static const char *after_dot(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL ? dot + 1 : name;
}

static void copy_section(const char *name, char out[HR_JOB_NAME_BYTES])
{
    size_t n = strcspn(name, ".");

    snprintf(out, HR_JOB_NAME_BYTES, "%.*s", name[n] == '.' ? (int)n : 0, name);
}

/* The key or section most like `name`, when it is near. The whole name counts, or else
 * the part after the dot of a name without section or with a known one: `steps` finds
 * sampler.steps. */
static bool find_nearest(const char *name, char out[HR_JOB_NAME_BYTES])
{
    size_t length = strlen(name), limit = length <= 4 ? 1 : length <= 8 ? 2 : 3;
    size_t best = 2 * limit + 2, score, part;
    char section[HR_JOB_NAME_BYTES];
    bool by_part, found = false;

    if (length >= HR_JOB_NAME_BYTES || length < 2)
        return false;
    copy_section(name, section);
    by_part = section[0] == '\0' || hr_job_section_exists(section);
    for (size_t i = 0; i < HR_KEY_COUNT; i++) {
        score = 2 * edit_distance(name, table[i].name);
        part = 2 * edit_distance(after_dot(name), after_dot(table[i].name)) + 1;
        score = by_part ? least(score, part) : score;
        if (score < best) {
            best = score;
            found = true;
            snprintf(out, HR_JOB_NAME_BYTES, "%s", table[i].name);
        }
        copy_section(table[i].name, section);
        score = 2 * edit_distance(name, section);
        if (score < best) {
            best = score;
            found = true;
            snprintf(out, HR_JOB_NAME_BYTES, "%s", section);
        }
    }
    return found;
}

static hr_status refuse_section(const char *name, const char *key,
                                const hr_job_value *value)
{
    hr_text expected = {0};
    hr_status status = hr_text_add(&expected, "not a mapping of");

    for (size_t i = 0; i < HR_KEY_COUNT && status == HR_OK; i++)
        if (is_in_section(&table[i], key))
            status = hr_text_printf(&expected, "%s %s", expected.length > 16 ? "," : "",
                                    after_dot(table[i].name));
    if (status == HR_OK)
        status = hr_job_refuse_value(name, value, expected.s);
    hr_text_free(&expected);
    return status;
}

hr_status hr_job_refuse_name(const char *name, const char *key, const hr_job_value *value,
                             const hr_job_place *key_place)
{
    char nearest[HR_JOB_NAME_BYTES];

    if (hr_job_section_exists(key))
        return refuse_section(name, key, value);
    if (!find_nearest(key, nearest))
        return hr_job_refuse(key_place, "%.200s: unknown key", name);
    return hr_job_refuse(key_place, "%.*s: unknown key; did you mean %.*s%s?", 200, name,
                         (int)(strlen(name) - strlen(key)), name, nearest);
}
