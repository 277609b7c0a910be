/* A checkpoint, all that it holds: io/checkpoint.h; as `haloreel inspect` shows it, and
 * its identity beside that of a job. Seals are put right on the way, so that what lies
 * behind them is reached. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/identity.h"
#include "cli/inspect.h"
#include "io/checkpoint.h"
#include "io/checkpoint_seal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FRAMES = 16, MAX_FLOATS = 1 << 16 };

static hr_status read_frames(hr_checkpoint *file, const hr_checkpoint_head *head,
                             float *room)
{
    const size_t n = (size_t)(head->channels * head->height * head->width);
    void *hashes;

    HR_TRY(hr_alloc_or_fail((size_t)head->n_steps * sizeof(hr_hash), "hashes", &hashes));
    for (int64_t i = 0; i < head->n_frames && i < MAX_FRAMES; i++) {
        hr_checkpoint_frame frame = {.hashes = hashes};
        hr_status status;

        if (n <= MAX_FLOATS)
            frame.x = frame.history[0] = frame.history[head->n_history / 2] = room;
        status = hr_checkpoint_read_frame(file, i, &frame);
        HR_ASSERT(status != HR_OK || (frame.step >= 0 && frame.step <= head->n_steps));
        if (status != HR_OK) {
            hr_free(hashes);
            return status;
        }
    }
    for (int64_t i = 0; i < head->n_pending && n <= MAX_FLOATS; i++) {
        const hr_pending *pending = &hr_checkpoint_get_pending(file)[i];
        hr_status status = hr_checkpoint_read_pending(file, i, room);

        HR_ASSERT(pending->frame >= 0 && pending->frame < head->n_frames);
        if (status != HR_OK) {
            hr_free(hashes);
            return status;
        }
    }
    hr_free(hashes);
    return HR_OK;
}

/* What a resume looks at. */
static hr_status compare(const hr_checkpoint_head *head)
{
    static char job[] = "seed\t7\n", model[] = "vae\tabc\n";
    const hr_identity now = {.job = job, .model = model};
    const hr_identity there = {.job = (char *)head->job, .model = (char *)head->model};
    int n_differ;

    (void)hr_hash_bytes(head->job_yaml, strlen(head->job_yaml));
    (void)hr_hash_bytes(head->prompt.data,
                        (size_t)(head->prompt.n * head->prompt.width) * sizeof(float));
    (void)hr_hash_bytes(head->rounds, (size_t)head->n_rounds * sizeof *head->rounds);
    return hr_identity_compare(&there, &now, "in checkpoint", &n_differ);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static float room[MAX_FLOATS];
    const char *path = hr_fuzz_file(0, data, n);
    hr_checkpoint *file = NULL;
    hr_status status;

    hr_fuzz_begin();
    status = hr_inspect_checkpoint(path, n % 2 == 0);
    hr_fuzz_end(status != HR_OK);
    hr_fuzz_begin(); /* also what is not whole: it may be changed after the look */
    status = hr_checkpoint_open(path, &file);
    if (status == HR_OK) {
        const hr_checkpoint_head *head = hr_checkpoint_get_head(file);

        status = compare(head);
        if (status == HR_OK)
            status = read_frames(file, head, room);
    }
    hr_checkpoint_close(file);
    hr_fuzz_end(status != HR_OK);
    return 0;
}

/* Puts a number of six digits, "bytes 012345" in the text, in place of the one there. */
static void write_bytes(uint8_t *data, size_t n)
{
    static const char start[] = "haloreel checkpoint 1\nbytes ";
    char digits[24];
    uint8_t *at = data + sizeof start - 1;
    size_t room = 0, length = (size_t)snprintf(digits, sizeof digits, "%zu", n);

    if (n < HR_CHECKPOINT_USER_BLOCK || memcmp(data, start, sizeof start - 1) != 0)
        return;
    while (at[room] >= '0' && at[room] <= '9')
        room++;
    if (room == length)
        memcpy(at, digits, length);
}

static void write_hash(uint8_t *data, size_t n)
{
    static hr_checkpoint_seal seal;
    const char *path = hr_fuzz_file(1, data, n);
    int fd = -1;

    if (n < HR_CHECKPOINT_USER_BLOCK || hr_checkpoint_open_file(path, &fd) != HR_OK)
        return;
    if (hr_checkpoint_seal_read(fd, path, &seal) == HR_OK &&
        hr_checkpoint_seal_hash(NULL, fd, path, &seal, &seal.hash) == HR_OK) {
        hr_checkpoint_seal_finish(&seal);
        memcpy(data, seal.block, HR_CHECKPOINT_USER_BLOCK);
    }
    close(fd);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max_n, unsigned seed)
{
    if (seed % 8 == 0 || n <= HR_CHECKPOINT_USER_BLOCK || max_n < n) {
        n = LLVMFuzzerMutate(data, n, max_n);
    } else if (seed % 2 == 0) { /* the text, of the same size */
        uint8_t *text = data;
        size_t n_text = strnlen((const char *)text, HR_CHECKPOINT_USER_BLOCK - 64);
        size_t changed =
            seed % 4 == 0 ? LLVMFuzzerMutate(text, n_text, HR_CHECKPOINT_USER_BLOCK - 64)
                          : hr_fuzz_change_number(
                                text, n_text, HR_CHECKPOINT_USER_BLOCK - 64, seed / 4);

        if (changed < n_text)
            memset(text + changed, 0, n_text - changed);
    } else {
        uint8_t *rest = data + HR_CHECKPOINT_USER_BLOCK;

        n = HR_CHECKPOINT_USER_BLOCK + LLVMFuzzerMutate(rest,
                                                        n - HR_CHECKPOINT_USER_BLOCK,
                                                        max_n - HR_CHECKPOINT_USER_BLOCK);
    }
    if (seed % 16 != 1) {
        write_bytes(data, n);
        write_hash(data, n);
    }
    return n;
}
