#include "io/checkpoint_layout.h"

#include "base/log.h"

#include <inttypes.h>
#include <string.h>

const hr_checkpoint_spec hr_checkpoint_specs[HR_SET_COUNT] = {
    [HR_SET_JOB] = {"/job", HR_TYPE_TEXT, 1, 0, true, "text",
                    "What of the job decides about the video: lines \"key<tab>value\"."},
    [HR_SET_MODEL] = {"/model", HR_TYPE_TEXT, 1, 0, true, "text",
                      "The files of the model: lines \"name<tab>fingerprint\"."},
    [HR_SET_JOB_YAML] = {"/job.yaml", HR_TYPE_TEXT, 1, 0, true, "text",
                         "The job file as it ran."},
    [HR_SET_PROMPT] = {"/embeddings/prompt", HR_TYPE_F32, 2, 0, true, "1",
                       "Text encoder's output for the prompt: [token, width]."},
    [HR_SET_NEGATIVE_PROMPT] = {"/embeddings/negative_prompt", HR_TYPE_F32, 2, 0, true,
                                "1",
                                "The same for the negative prompt; empty without "
                                "guidance."},
    [HR_SET_STEP] = {"/frames/step", HR_TYPE_I32, 1, 0, false, "steps",
                     "Denoising steps that each latent frame has been through."},
    [HR_SET_LATENTS] = {"/frames/latents", HR_TYPE_F32, 4, 3, false,
                        "1 (normalised latent space)",
                        "Sample of each latent frame at its step: [frame, channel, y, "
                        "x]."},
    [HR_SET_HISTORY] = {"/frames/history", HR_TYPE_F32, 5, 3, false,
                        "1 (normalised latent space)",
                        "What the sampler remembers of earlier steps: [entry, frame, "
                        "channel, y, x]."},
    [HR_SET_HASHES] =
        {"/frames/hashes", HR_TYPE_U64, 3, 2, false, "XXH3-128",
         "Hash of each latent frame after each step: [frame, step, high and "
         "low half]; zeros where the step is not done."},
    [HR_SET_ROUNDS] = {"/rounds/done", HR_TYPE_I32, 2, 0, true, "index",
                       "Windows done at steps that are not done for all windows: [round, "
                       "(step, window)]."},
    [HR_SET_PENDING_HEADS] =
        {"/pending/heads", HR_TYPE_I32, 2, 0, false, "index",
         "What /pending/latents holds: [entry, (kind, step, window, "
         "branch, frame)]; kind 0: a sample of an earlier step that "
         "a window still needs, 1: a window's prediction that is not "
         "fused yet."},
    [HR_SET_PENDING_LATENTS] = {"/pending/latents", HR_TYPE_F32, 4, 3, false,
                                "1 (normalised latent space)",
                                "Samples and predictions that wait to be used: [entry, "
                                "channel, y, x]."},
};

/* What all shapes follow from, with its limits. A reader allocates no more than these
 * say, and no product of them overflows. */
typedef struct sizes {
    int64_t job, model, job_yaml; /* bytes with the closing zero */
    int64_t prompt, prompt_width, negative, negative_width;
    int64_t frames, channels, height, width, history, steps;
    int64_t rounds, pending;
    int64_t steps_done, rounds_done;
} sizes;

enum {
    MAX_TEXT_BYTES = 1 << 24,
    MAX_TOKENS = 1 << 14,
    MAX_TOKEN_WIDTH = 1 << 13,
    MAX_FRAMES = 1 << 24,
    MAX_CHANNELS = 1 << 10,
    MAX_SIDE = 1 << 14,
    MAX_FRAME_ELEMENTS = 1 << 28,
    MAX_STEPS = 1 << 14,
    MAX_ENTRIES = 1 << 22,
    MAX_ROUNDS = 1 << 30
};

static bool is_in(int64_t value, int64_t low, int64_t high)
{
    return value >= low && value <= high;
}

static const char *check_sizes(const sizes *s)
{
    if (!is_in(s->job, 1, MAX_TEXT_BYTES) || !is_in(s->model, 1, MAX_TEXT_BYTES) ||
        !is_in(s->job_yaml, 1, MAX_TEXT_BYTES))
        return "the size of a text";
    if (!is_in(s->prompt, 0, MAX_TOKENS) || !is_in(s->prompt_width, 0, MAX_TOKEN_WIDTH) ||
        !is_in(s->negative, 0, MAX_TOKENS) ||
        !is_in(s->negative_width, 0, MAX_TOKEN_WIDTH))
        return "the shape of a text embedding";
    if (!is_in(s->frames, 1, MAX_FRAMES))
        return "the number of frames";
    if (!is_in(s->channels, 1, MAX_CHANNELS) || !is_in(s->height, 1, MAX_SIDE) ||
        !is_in(s->width, 1, MAX_SIDE) ||
        s->channels * s->height * s->width > MAX_FRAME_ELEMENTS)
        return "the shape of a frame";
    if (!is_in(s->history, 0, HR_CHECKPOINT_MAX_HISTORY))
        return "the length of the sampler's history";
    if (!is_in(s->steps, 1, MAX_STEPS))
        return "the number of steps";
    if (!is_in(s->rounds, 0, MAX_ENTRIES) || !is_in(s->pending, 0, MAX_ENTRIES))
        return "the number of rounds or of what is pending";
    if (!is_in(s->steps_done, 0, s->steps) || !is_in(s->rounds_done, 0, MAX_ROUNDS))
        return "the number of steps or rounds done";
    return NULL;
}

static void set_dims(const sizes *s, hr_checkpoint_layout *out)
{
    const int64_t frame[] = {s->channels, s->height, s->width};
    int64_t(*dims)[HR_CHECKPOINT_MAX_DIMS] = out->dims;

    dims[HR_SET_JOB][0] = s->job;
    dims[HR_SET_MODEL][0] = s->model;
    dims[HR_SET_JOB_YAML][0] = s->job_yaml;
    dims[HR_SET_PROMPT][0] = s->prompt;
    dims[HR_SET_PROMPT][1] = s->prompt_width;
    dims[HR_SET_NEGATIVE_PROMPT][0] = s->negative;
    dims[HR_SET_NEGATIVE_PROMPT][1] = s->negative_width;
    dims[HR_SET_STEP][0] = s->frames;
    dims[HR_SET_LATENTS][0] = s->frames;
    memcpy(&dims[HR_SET_LATENTS][1], frame, sizeof frame);
    dims[HR_SET_HISTORY][0] = s->history;
    dims[HR_SET_HISTORY][1] = s->frames;
    memcpy(&dims[HR_SET_HISTORY][2], frame, sizeof frame);
    dims[HR_SET_HASHES][0] = s->frames;
    dims[HR_SET_HASHES][1] = s->steps;
    dims[HR_SET_HASHES][2] = 2;
    dims[HR_SET_ROUNDS][0] = s->rounds;
    dims[HR_SET_ROUNDS][1] = 2;
    dims[HR_SET_PENDING_HEADS][0] = s->pending;
    dims[HR_SET_PENDING_HEADS][1] = 5;
    dims[HR_SET_PENDING_LATENTS][0] = s->pending;
    memcpy(&dims[HR_SET_PENDING_LATENTS][1], frame, sizeof frame);
}

/* The other way; of dims that say a size twice one is taken. */
static sizes get_sizes(const hr_checkpoint_layout *layout)
{
    const int64_t(*dims)[HR_CHECKPOINT_MAX_DIMS] = layout->dims;

    return (sizes){.job = dims[HR_SET_JOB][0],
                   .model = dims[HR_SET_MODEL][0],
                   .job_yaml = dims[HR_SET_JOB_YAML][0],
                   .prompt = dims[HR_SET_PROMPT][0],
                   .prompt_width = dims[HR_SET_PROMPT][1],
                   .negative = dims[HR_SET_NEGATIVE_PROMPT][0],
                   .negative_width = dims[HR_SET_NEGATIVE_PROMPT][1],
                   .frames = dims[HR_SET_LATENTS][0],
                   .channels = dims[HR_SET_LATENTS][1],
                   .height = dims[HR_SET_LATENTS][2],
                   .width = dims[HR_SET_LATENTS][3],
                   .history = dims[HR_SET_HISTORY][0],
                   .steps = dims[HR_SET_HASHES][1],
                   .rounds = dims[HR_SET_ROUNDS][0],
                   .pending = dims[HR_SET_PENDING_HEADS][0],
                   .steps_done = layout->steps_done,
                   .rounds_done = layout->rounds_done};
}

static int64_t text_bytes(const char *text)
{
    return text == NULL ? 1 : (int64_t)strlen(text) + 1;
}

hr_status hr_checkpoint_layout_init(const hr_checkpoint_head *head,
                                    hr_checkpoint_layout *out)
{
    const sizes s = {.job = text_bytes(head->job),
                     .model = text_bytes(head->model),
                     .job_yaml = text_bytes(head->job_yaml),
                     .prompt = head->prompt.n,
                     .prompt_width = head->prompt.width,
                     .negative = head->negative_prompt.n,
                     .negative_width = head->negative_prompt.width,
                     .frames = head->n_frames,
                     .channels = head->channels,
                     .height = head->height,
                     .width = head->width,
                     .history = head->n_history,
                     .steps = head->n_steps,
                     .rounds = head->n_rounds,
                     .pending = head->n_pending,
                     .steps_done = head->steps_done,
                     .rounds_done = head->rounds_done};
    const char *wrong = check_sizes(&s);

    if (wrong != NULL)
        return hr_fail(HR_ERR_UNSUPPORTED, "a checkpoint: %s is out of range", wrong);
    *out = (hr_checkpoint_layout){.steps_done = head->steps_done,
                                  .rounds_done = head->rounds_done};
    set_dims(&s, out);
    return HR_OK;
}

int hr_checkpoint_row_dim(hr_checkpoint_set set)
{
    return set == HR_SET_HISTORY ? 1 : 0;
}

size_t hr_checkpoint_type_bytes(hr_checkpoint_type type)
{
    static const size_t bytes[] = {
        [HR_TYPE_TEXT] = 1, [HR_TYPE_I32] = 4, [HR_TYPE_U64] = 8, [HR_TYPE_F32] = 4};

    return bytes[type];
}

int64_t hr_checkpoint_set_bytes(const hr_checkpoint_layout *layout, hr_checkpoint_set set)
{
    const hr_checkpoint_spec *spec = &hr_checkpoint_specs[set];
    int64_t bytes = (int64_t)hr_checkpoint_type_bytes(spec->type);

    for (int i = 0; i < spec->n_dims; i++)
        bytes *= layout->dims[set][i];
    return bytes;
}

static const char *const type_names[] = {[HR_TYPE_TEXT] = "text",
                                         [HR_TYPE_I32] = "i32",
                                         [HR_TYPE_U64] = "u64",
                                         [HR_TYPE_F32] = "f32"};

static hr_status add_set(const hr_checkpoint_layout *layout, hr_checkpoint_set set,
                         hr_text *out)
{
    const hr_checkpoint_spec *spec = &hr_checkpoint_specs[set];

    HR_TRY(hr_text_printf(out, "%s %s ", spec->name, type_names[spec->type]));
    for (int i = 0; i < spec->n_dims; i++)
        HR_TRY(
            hr_text_printf(out, "%s%" PRId64, i == 0 ? "" : "x", layout->dims[set][i]));
    return hr_text_printf(out, " at %" PRId64 "\n", layout->offset[set]);
}

hr_status hr_checkpoint_layout_text(const hr_checkpoint_layout *layout, hr_text *out)
{
    HR_TRY(hr_text_printf(out,
                          "haloreel checkpoint 1\nbytes %" PRId64 "\nsteps_done %" PRId64
                          "\nrounds_done %" PRId64 "\n",
                          layout->bytes, layout->steps_done, layout->rounds_done));
    for (int set = 0; set < HR_SET_COUNT; set++)
        HR_TRY(add_set(layout, (hr_checkpoint_set)set, out));
    return HR_OK;
}

/* Moves on behind `word` if it stands there. */
static bool take(const char **text, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(*text, word, n) != 0)
        return false;
    *text += n;
    return true;
}

/* At most 15 digits: no sum or difference of two overflows. */
static bool take_number(const char **text, int64_t *out)
{
    int n = 0;

    for (*out = 0; **text >= '0' && **text <= '9' && n < 16; n++)
        *out = *out * 10 + *(*text)++ - '0';
    return n > 0 && n < 16;
}

static bool take_set(const char **text, hr_checkpoint_set set, hr_checkpoint_layout *out)
{
    const hr_checkpoint_spec *spec = &hr_checkpoint_specs[set];

    if (!take(text, spec->name) || !take(text, " ") ||
        !take(text, type_names[spec->type]) || !take(text, " "))
        return false;
    for (int i = 0; i < spec->n_dims; i++)
        if ((i > 0 && !take(text, "x")) || !take_number(text, &out->dims[set][i]))
            return false;
    return take(text, " at ") && take_number(text, &out->offset[set]) && take(text, "\n");
}

static bool take_layout(const char *text, hr_checkpoint_layout *out)
{
    if (!take(&text, "haloreel checkpoint 1\nbytes ") ||
        !take_number(&text, &out->bytes) || !take(&text, "\nsteps_done ") ||
        !take_number(&text, &out->steps_done) || !take(&text, "\nrounds_done ") ||
        !take_number(&text, &out->rounds_done) || !take(&text, "\n"))
        return false;
    for (int set = 0; set < HR_SET_COUNT; set++)
        if (!take_set(&text, (hr_checkpoint_set)set, out))
            return false;
    return true;
}

/* Data sets lie in the file. */
static const char *check_places(const hr_checkpoint_layout *layout)
{
    for (int set = 0; set < HR_SET_COUNT; set++) {
        const int64_t bytes = hr_checkpoint_set_bytes(layout, (hr_checkpoint_set)set);
        const int64_t at = layout->offset[set];

        if (bytes > 0 ? at < HR_CHECKPOINT_USER_BLOCK || at + bytes > layout->bytes
                      : at != 0)
            return "the place of a data set";
    }
    return NULL;
}

hr_status hr_checkpoint_layout_parse(const char *text, size_t n,
                                     hr_checkpoint_layout *out, const char **wrong)
{
    hr_text again = {0};
    hr_status status;
    sizes s;

    *out = (hr_checkpoint_layout){0};
    *wrong = "the text in front";
    if (!take_layout(text, out))
        return HR_ERR_CHECKPOINT;
    s = get_sizes(out);
    *wrong = check_sizes(&s);
    if (*wrong == NULL) {
        set_dims(&s, out); /* no dims but those checked */
        *wrong = check_places(out);
    }
    if (*wrong != NULL)
        return HR_ERR_CHECKPOINT;
    /* One way to write each: whatever else stands there is refused. */
    status = hr_checkpoint_layout_text(out, &again);
    if (status == HR_OK && (again.length != n || memcmp(again.s, text, n) != 0)) {
        *wrong = "the text in front";
        status = HR_ERR_CHECKPOINT;
    }
    hr_text_free(&again);
    return status;
}

bool hr_checkpoint_is_step(const hr_checkpoint_layout *layout, int64_t step)
{
    return is_in(step, 0, layout->dims[HR_SET_HASHES][1]);
}

bool hr_checkpoint_is_round(const hr_checkpoint_layout *layout, const hr_round *round)
{
    return is_in(round->step, 0, layout->dims[HR_SET_HASHES][1] - 1) &&
           is_in(round->window, 0, layout->dims[HR_SET_LATENTS][0] - 1);
}

bool hr_checkpoint_is_pending(const hr_checkpoint_layout *layout, const hr_pending *head)
{
    const int64_t last_frame = layout->dims[HR_SET_LATENTS][0] - 1;

    return is_in(head->kind, HR_PENDING_SAMPLE, HR_PENDING_PREDICTION) &&
           hr_checkpoint_is_step(layout, head->step) &&
           is_in(head->window, -1, last_frame) &&
           is_in(head->branch, -1, HR_CHECKPOINT_MAX_BRANCHES - 1) &&
           is_in(head->frame, 0, last_frame);
}
