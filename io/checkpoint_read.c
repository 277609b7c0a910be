#include "io/checkpoint.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/checkpoint_agree.h"
#include "io/checkpoint_seal.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct hr_checkpoint {
    char *path;
    int fd;
    hr_checkpoint_layout layout;
    hr_checkpoint_head head;
    void *data[HR_SET_COUNT]; /* of the data sets that are read as a whole */
};

/* What is read at once; the rest is read frame by frame. */
static const hr_checkpoint_set whole_sets[] = {
    HR_SET_JOB,          HR_SET_MODEL,           HR_SET_JOB_YAML,
    HR_SET_PROMPT,       HR_SET_NEGATIVE_PROMPT, HR_SET_ROUNDS,
    HR_SET_PENDING_HEADS};
enum { N_WHOLE_SETS = sizeof whole_sets / sizeof whole_sets[0] };

static hr_status verify(hr_group *group, const char *path, hr_checkpoint_seal *seal,
                        int *fd)
{
    hr_hash found = {0};
    hr_status status = hr_checkpoint_open_file(path, fd);

    if (status == HR_OK)
        status = hr_checkpoint_seal_read(*fd, path, seal);
    HR_TRY(hr_checkpoint_agree(group, status));
    HR_TRY(hr_checkpoint_seal_hash(group, *fd, path, seal, &found));
    if (hr_hash_equal(found, seal->hash))
        return HR_OK;
    if (group == NULL || hr_group_rank(group) == 0)
        return hr_fail(HR_ERR_CHECKPOINT,
                       "%s is damaged: its bytes do not fit their hash", path);
    return HR_ERR_CHECKPOINT;
}

hr_status hr_checkpoint_verify(hr_group *group, const char *path)
{
    hr_checkpoint_seal *seal = NULL;
    void *memory = NULL;
    hr_status status;
    int fd = -1;

    HR_TRY(hr_checkpoint_agree(
        group, hr_alloc_or_fail(sizeof *seal, "the seal of a checkpoint", &memory)));
    seal = memory;
    status = verify(group, path, seal, &fd);
    if (fd >= 0)
        close(fd);
    hr_free(seal);
    return status;
}

static hr_status damaged(const hr_checkpoint *c, hr_checkpoint_set set, const char *what)
{
    return hr_fail(HR_ERR_CHECKPOINT, "%s is damaged: %s: %s", c->path,
                   hr_checkpoint_specs[set].name, what);
}

static hr_status read_whole(hr_checkpoint *c, hr_checkpoint_set set)
{
    const int64_t bytes = hr_checkpoint_set_bytes(&c->layout, set);

    HR_TRY(hr_alloc_or_fail((size_t)bytes, hr_checkpoint_specs[set].name, &c->data[set]));
    return hr_checkpoint_read_at(c->fd, c->path, c->layout.offset[set], c->data[set],
                                 bytes);
}

static hr_status check_text(const hr_checkpoint *c, hr_checkpoint_set set)
{
    const size_t length = (size_t)c->layout.dims[set][0] - 1;
    const char *text = c->data[set];

    if (text[length] != '\0' || strlen(text) != length)
        return damaged(c, set, "it is no text");
    if (hr_utf8_check(text, length) != length)
        return damaged(c, set, "it is not UTF-8");
    return HR_OK;
}

static hr_status check_entries(const hr_checkpoint *c)
{
    const hr_pending *pending = c->data[HR_SET_PENDING_HEADS];
    const hr_round *rounds = c->data[HR_SET_ROUNDS];

    for (int64_t i = 0; i < c->head.n_rounds; i++)
        if (!hr_checkpoint_is_round(&c->layout, &rounds[i]))
            return damaged(c, HR_SET_ROUNDS, "a step or window is out of range");
    for (int64_t i = 0; i < c->head.n_pending; i++)
        if (!hr_checkpoint_is_pending(&c->layout, &pending[i]))
            return damaged(c, HR_SET_PENDING_HEADS, "a number is out of range");
    return HR_OK;
}

static hr_checkpoint_head head_of(const hr_checkpoint *c)
{
    const hr_checkpoint_layout *layout = &c->layout;
    const int64_t *frame = layout->dims[HR_SET_LATENTS];
    const int64_t *prompt = layout->dims[HR_SET_PROMPT];
    const int64_t *negative = layout->dims[HR_SET_NEGATIVE_PROMPT];

    return (hr_checkpoint_head){
        .n_frames = frame[0],
        .channels = frame[1],
        .height = frame[2],
        .width = frame[3],
        .n_history = (int)layout->dims[HR_SET_HISTORY][0],
        .n_steps = (int)layout->dims[HR_SET_HASHES][1],
        .job = c->data[HR_SET_JOB],
        .model = c->data[HR_SET_MODEL],
        .job_yaml = c->data[HR_SET_JOB_YAML],
        .prompt = {prompt[0], prompt[1], c->data[HR_SET_PROMPT]},
        .negative_prompt = {negative[0], negative[1], c->data[HR_SET_NEGATIVE_PROMPT]},
        .rounds = c->data[HR_SET_ROUNDS],
        .n_rounds = layout->dims[HR_SET_ROUNDS][0],
        .steps_done = (int)layout->steps_done,
        .rounds_done = layout->rounds_done,
        .n_pending = layout->dims[HR_SET_PENDING_HEADS][0]};
}

static hr_status read_head(hr_checkpoint *c)
{
    for (int i = 0; i < N_WHOLE_SETS; i++)
        HR_TRY(read_whole(c, whole_sets[i]));
    HR_TRY(check_text(c, HR_SET_JOB));
    HR_TRY(check_text(c, HR_SET_MODEL));
    HR_TRY(check_text(c, HR_SET_JOB_YAML));
    c->head = head_of(c);
    return check_entries(c);
}

static hr_status open_path(hr_checkpoint *c, const char *path)
{
    void *memory;
    hr_checkpoint_seal *seal;
    hr_status status;

    c->path = hr_strdup(path);
    if (c->path == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the path %s", path);
    HR_TRY(hr_checkpoint_open_file(path, &c->fd));
    HR_TRY(hr_alloc_or_fail(sizeof *seal, "the seal of a checkpoint", &memory));
    seal = memory;
    status = hr_checkpoint_seal_read(c->fd, path, seal);
    c->layout = seal->layout;
    hr_free(seal);
    return status;
}

hr_status hr_checkpoint_open(const char *path, hr_checkpoint **out)
{
    hr_checkpoint *c;
    hr_status status;
    void *memory;

    HR_TRY(hr_alloc_or_fail(sizeof *c, path, &memory));
    c = memory;
    c->fd = -1;
    status = open_path(c, path);
    if (status == HR_OK)
        status = read_head(c);
    if (status == HR_OK)
        *out = c;
    else
        hr_checkpoint_close(c);
    return status;
}

void hr_checkpoint_close(hr_checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    if (checkpoint->fd >= 0)
        close(checkpoint->fd);
    for (int set = 0; set < HR_SET_COUNT; set++)
        hr_free(checkpoint->data[set]);
    hr_free(checkpoint->path);
    hr_free(checkpoint);
}

const hr_checkpoint_head *hr_checkpoint_get_head(const hr_checkpoint *checkpoint)
{
    return &checkpoint->head;
}

/* Row `i` of a data set whose last `n_dims` are a row. */
static hr_status read_row(const hr_checkpoint *c, hr_checkpoint_set set, int64_t i,
                          int n_dims, void *out)
{
    const hr_checkpoint_spec *spec = &hr_checkpoint_specs[set];
    int64_t bytes = (int64_t)hr_checkpoint_type_bytes(spec->type);

    for (int d = spec->n_dims - n_dims; d < spec->n_dims; d++)
        bytes *= c->layout.dims[set][d];
    return hr_checkpoint_read_at(c->fd, c->path, c->layout.offset[set] + i * bytes, out,
                                 bytes);
}

/* The sample is the one whose hash was taken after its last step, also where the seal was
 * made of other bytes than the ranks had. */
static hr_status check_sample(const hr_checkpoint *c, int64_t frame, int step,
                              const float *x)
{
    const int64_t *dims = c->layout.dims[HR_SET_LATENTS];
    const size_t bytes = (size_t)(dims[1] * dims[2] * dims[3]) * sizeof *x;
    hr_hash expected;

    if (step == 0)
        return HR_OK;
    HR_TRY(read_row(c, HR_SET_HASHES, frame * c->head.n_steps + step - 1, 1, &expected));
    if (hr_hash_equal(expected, (hr_hash){0}) ||
        hr_hash_equal(expected, hr_hash_bytes(x, bytes)))
        return HR_OK;
    return hr_fail(HR_ERR_CHECKPOINT,
                   "%s is damaged: frame %" PRId64 " does not fit its hash", c->path,
                   frame);
}

hr_status hr_checkpoint_read_frame(hr_checkpoint *checkpoint, int64_t frame,
                                   hr_checkpoint_frame *out)
{
    const int64_t n_frames = checkpoint->head.n_frames;
    int32_t step;

    HR_ASSERT(frame >= 0 && frame < n_frames);
    HR_TRY(read_row(checkpoint, HR_SET_STEP, frame, 0, &step));
    if (!hr_checkpoint_is_step(&checkpoint->layout, step))
        return damaged(checkpoint, HR_SET_STEP, "a step is out of range");
    if (out->x != NULL) {
        HR_TRY(read_row(checkpoint, HR_SET_LATENTS, frame, 3, out->x));
        HR_TRY(check_sample(checkpoint, frame, step, out->x));
    }
    for (int i = 0; i < checkpoint->head.n_history; i++)
        if (out->history[i] != NULL)
            HR_TRY(read_row(checkpoint, HR_SET_HISTORY, i * n_frames + frame, 3,
                            out->history[i]));
    if (out->hashes != NULL)
        HR_TRY(read_row(checkpoint, HR_SET_HASHES, frame, 2, out->hashes));
    out->step = step;
    return HR_OK;
}

const hr_pending *hr_checkpoint_get_pending(const hr_checkpoint *checkpoint)
{
    return checkpoint->data[HR_SET_PENDING_HEADS];
}

hr_status hr_checkpoint_read_pending(hr_checkpoint *checkpoint, int64_t i, float *data)
{
    HR_ASSERT(i >= 0 && i < checkpoint->head.n_pending);
    return read_row(checkpoint, HR_SET_PENDING_LATENTS, i, 3, data);
}
