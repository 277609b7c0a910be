#include "io/checkpoint_seal.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/checkpoint_agree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4 << 20, ROOM_BYTES = 128 << 10 };

static const char hash_name[] = "xxh3-128 ";
enum { HASH_LINE_BYTES = sizeof hash_name - 1 + HR_HASH_TEXT_BYTES };

/* Not blocking: a pipe is refused, not waited for. */
hr_status hr_checkpoint_open_file(const char *path, int *out)
{
    int fd = hr_fault_errno("file.open", EIO)
                 ? -1
                 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;

    if (fd < 0)
        return hr_fail(HR_ERR_IO, "cannot open %s: %s", path, strerror(errno));
    if (hr_fault_errno("file.stat", EIO) || fstat(fd, &info) != 0) {
        close(fd);
        return hr_fail(HR_ERR_IO, "%s: cannot find out its size: %s", path,
                       strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        close(fd);
        return hr_fail(HR_ERR_CHECKPOINT, "%s: it is not a plain file", path);
    }
    *out = fd;
    return HR_OK;
}

hr_status hr_checkpoint_read_at(int fd, const char *path, int64_t at, void *out,
                                int64_t n_bytes)
{
    char *bytes = out;

    while (n_bytes > 0) {
        ssize_t n =
            hr_fault_errno("file.read", EIO) ? -1 : pread(fd, bytes, (size_t)n_bytes, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return hr_fail(HR_ERR_IO, "cannot read %s at byte %" PRId64 ": %s", path, at,
                           n < 0 ? strerror(errno) : "it ends there");
        bytes += n;
        at += n;
        n_bytes -= n;
    }
    return HR_OK;
}

static hr_status damaged(const char *path, const char *what)
{
    return hr_fail(HR_ERR_CHECKPOINT, "%s is damaged or no checkpoint of haloreel: %s",
                   path, what);
}

/* The line with the hash, and nothing but zeros behind it. */
static bool read_hash(hr_checkpoint_seal *seal)
{
    char text[HR_HASH_TEXT_BYTES] = "";
    const char *line = strstr(seal->block, hash_name), *end;

    if (line == NULL || strlen(line) != HASH_LINE_BYTES)
        return false;
    end = line + HASH_LINE_BYTES;
    seal->n_text = (size_t)(line - seal->block);
    memcpy(text, line + sizeof hash_name - 1, sizeof text - 1);
    for (; end < seal->block + HR_CHECKPOINT_USER_BLOCK; end++)
        if (*end != '\0')
            return false;
    return line[HASH_LINE_BYTES - 1] == '\n' && hr_hash_parse(text, &seal->hash);
}

hr_status hr_checkpoint_seal_read(int fd, const char *path, hr_checkpoint_seal *out)
{
    const char *wrong = NULL;
    hr_status status;
    struct stat info;

    if (hr_fault_errno("file.stat", EIO) || fstat(fd, &info) != 0)
        return hr_fail(HR_ERR_IO, "%s: cannot find out its size: %s", path,
                       strerror(errno));
    if (info.st_size == 0)
        return damaged(path, "it is empty");
    if (info.st_size < HR_CHECKPOINT_USER_BLOCK)
        return damaged(path, "it is cut");
    *out = (hr_checkpoint_seal){0};
    HR_TRY(hr_checkpoint_read_at(fd, path, 0, out->block, HR_CHECKPOINT_USER_BLOCK));
    if (!read_hash(out))
        return damaged(path, "it does not begin as one");
    status = hr_checkpoint_layout_parse(out->block, out->n_text, &out->layout, &wrong);
    if (status == HR_ERR_CHECKPOINT)
        return hr_fail(
            status,
            "%s is damaged or no checkpoint of haloreel: %s is not as it was written",
            path, wrong);
    HR_TRY(status);
    if (out->layout.bytes != info.st_size)
        return hr_fail(HR_ERR_CHECKPOINT,
                       "%s is damaged: it has %" PRId64 " bytes, %" PRId64
                       " were written",
                       path, (int64_t)info.st_size, out->layout.bytes);
    return HR_OK;
}

hr_status hr_checkpoint_seal_init(const hr_checkpoint_layout *layout,
                                  hr_checkpoint_seal *out)
{
    hr_text text = {0};
    hr_status status = hr_checkpoint_layout_text(layout, &text);

    *out = (hr_checkpoint_seal){.layout = *layout, .n_text = text.length};
    if (status == HR_OK && text.length + HASH_LINE_BYTES >= HR_CHECKPOINT_USER_BLOCK)
        status = hr_fail(HR_ERR_INTERNAL, "the text of a seal is too long");
    if (status == HR_OK)
        memcpy(out->block, text.s, text.length);
    hr_text_free(&text);
    return status;
}

void hr_checkpoint_seal_finish(hr_checkpoint_seal *seal)
{
    char text[HR_HASH_TEXT_BYTES];

    snprintf(seal->block + seal->n_text, HASH_LINE_BYTES + 1, "%s%s\n", hash_name,
             hr_hash_text(seal->hash, text));
}

/* Which blocks a rank hashes: the same number for each, but for the last ranks. */
typedef struct share {
    int64_t n_blocks, per_rank, first, n;
} share;

static share share_of(hr_group *group, int64_t bytes)
{
    const int64_t rank = group == NULL ? 0 : hr_group_rank(group);
    const int64_t size = group == NULL ? 1 : hr_group_size(group);
    share s = {.n_blocks =
                   (bytes - HR_CHECKPOINT_USER_BLOCK + BLOCK_BYTES - 1) / BLOCK_BYTES};

    s.per_rank = (s.n_blocks + size - 1) / size;
    s.first = s.per_rank * rank;
    s.n = s.first >= s.n_blocks ? 0 : s.n_blocks - s.first;
    if (s.n > s.per_rank)
        s.n = s.per_rank;
    return s;
}

typedef struct hash_call {
    hr_group *group;
    int fd;
    const char *path;
    int64_t bytes; /* of the file */
    share share;
} hash_call;

static hr_status hash_block(const hash_call *call, int64_t at, void *room, hr_hash *out)
{
    const int64_t end = at + BLOCK_BYTES < call->bytes ? at + BLOCK_BYTES : call->bytes;
    hr_hash_parts parts;

    hr_hash_begin(&parts);
    while (at < end) {
        const int64_t n = end - at < ROOM_BYTES ? end - at : ROOM_BYTES;

        HR_TRY(hr_checkpoint_read_at(call->fd, call->path, at, room, n));
        hr_hash_add(&parts, room, (size_t)n);
        at += n;
    }
    *out = hr_hash_end(&parts);
    return HR_OK;
}

static hr_status hash_share(const hash_call *call, void *room, hr_hash *digests)
{
    for (int64_t i = 0; i < call->share.n; i++) {
        HR_TRY(hash_block(
            call, HR_CHECKPOINT_USER_BLOCK + (call->share.first + i) * BLOCK_BYTES, room,
            &digests[i]));
        if (call->group != NULL)
            HR_TRY(hr_world_progress(hr_group_world(call->group)));
    }
    return HR_OK;
}

/* The hash of the text and of the digests, each a line. */
static hr_status hash_digests(const hr_checkpoint_seal *seal, const hr_hash *digests,
                              int64_t n, hr_hash *out)
{
    char line[HR_HASH_TEXT_BYTES];
    hr_text text = {0};
    hr_status status = hr_text_append(&text, seal->block, seal->n_text);

    for (int64_t i = 0; i < n && status == HR_OK; i++) {
        hr_hash_text(digests[i], line);
        line[HR_HASH_TEXT_BYTES - 1] = '\n';
        status = hr_text_append(&text, line, sizeof line);
    }
    if (status == HR_OK)
        *out = hr_hash_bytes(text.s, text.length);
    hr_text_free(&text);
    return status;
}

hr_status hr_checkpoint_seal_hash(hr_group *group, int fd, const char *path,
                                  const hr_checkpoint_seal *seal, hr_hash *out)
{
    const hash_call call = {.group = group,
                            .fd = fd,
                            .path = path,
                            .bytes = seal->layout.bytes,
                            .share = share_of(group, seal->layout.bytes)};
    const size_t n_ranks = group == NULL ? 1 : (size_t)hr_group_size(group);
    const size_t per_rank = (size_t)call.share.per_rank;
    void *room = NULL, *mine = NULL, *all = NULL;
    hr_status status = hr_alloc_or_fail(ROOM_BYTES, "a block of a checkpoint", &room);

    if (status == HR_OK)
        status = hr_alloc_or_fail(per_rank * sizeof(hr_hash), "hashes", &mine);
    if (status == HR_OK)
        status = hr_alloc_or_fail(n_ranks * per_rank * sizeof(hr_hash), "hashes", &all);
    if (status == HR_OK)
        status = hash_share(&call, room, mine);
    status = hr_checkpoint_agree(group, status);
    if (status == HR_OK)
        status = hr_checkpoint_gather(group, mine, per_rank * sizeof(hr_hash), all);
    if (status == HR_OK)
        status = hash_digests(seal, all, call.share.n_blocks, out);
    status = hr_checkpoint_agree(group, status);
    hr_free(room);
    hr_free(mine);
    hr_free(all);
    return status;
}
