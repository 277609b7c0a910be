#include "compute/arena.h"

#include "base/log.h"
#include "base/memory.h"
#include "compute/backend.h"

enum { ALIGNMENT = 64 };

/* New blocks double the arena, from FIRST_BLOCK on, until a block has LARGEST_BLOCK
 * bytes: a tiny model stays tiny, a big one wastes at most one block. */
static const size_t first_block = (size_t)1 << 20, largest_block = (size_t)1 << 26;

typedef struct block {
    char *data;
    size_t bytes;
} block;

struct hr_arena {
    hr_device *device;
    block *blocks;
    int n_blocks;
    size_t total; /* bytes of all blocks */
    hr_arena_mark top;
};

hr_status hr_arena_create(hr_device *device, hr_arena **out)
{
    void *memory;
    hr_arena *arena;

    HR_TRY(hr_alloc_or_fail(sizeof *arena, "an arena", &memory));
    arena = memory;
    arena->device = device;
    *out = arena;
    return HR_OK;
}

void hr_arena_destroy(hr_arena *arena)
{
    if (arena == NULL)
        return;
    for (int i = 0; i < arena->n_blocks; i++)
        hr_device_free(arena->device, arena->blocks[i].data, arena->blocks[i].bytes);
    hr_free(arena->blocks);
    hr_free(arena);
}

static hr_status add_block(hr_arena *arena, size_t need)
{
    size_t bytes = arena->total < largest_block ? arena->total : largest_block;
    void *data, *blocks;

    if (bytes < first_block)
        bytes = first_block;
    if (bytes < need)
        bytes = need;
    blocks = hr_realloc(arena->blocks, ((size_t)arena->n_blocks + 1) * sizeof(block));
    if (blocks == NULL)
        return hr_fail(HR_ERR_NOMEM,
                       "out of memory: no room for an arena's list of blocks");
    arena->blocks = blocks;
    HR_TRY(hr_device_alloc(arena->device, bytes, &data));
    arena->blocks[arena->n_blocks++] = (block){data, bytes};
    arena->total += bytes;
    return HR_OK;
}

/* Moves top to where `bytes` are free: the first block from the current one on that has
 * room. As blocks are only ever added at the end, a second round with the same requests
 * lands on the same places and adds none. */
static hr_status find_room(hr_arena *arena, size_t bytes)
{
    hr_arena_mark top = arena->top;

    while (top.block < arena->n_blocks &&
           bytes > arena->blocks[top.block].bytes - top.used)
        top = (hr_arena_mark){.block = top.block + 1};
    if (top.block == arena->n_blocks)
        HR_TRY(add_block(arena, bytes));
    arena->top = top;
    return HR_OK;
}

hr_status hr_arena_tensor(hr_arena *arena, hr_dtype dtype, int n_dims, const int64_t *dim,
                          hr_tensor *out)
{
    hr_tensor t;
    size_t bytes;

    HR_TRY(hr_tensor_shape(&t, arena->device, dtype, n_dims, dim, &bytes));
    HR_TRY(hr_size_add(bytes, ALIGNMENT - 1, &bytes));
    bytes -= bytes % ALIGNMENT;
    HR_TRY(find_room(arena, bytes));
    t.data = arena->blocks[arena->top.block].data + arena->top.used;
    arena->top.used += bytes;
    *out = t;
    return HR_OK;
}

hr_arena_mark hr_arena_get_mark(const hr_arena *arena)
{
    return arena->top;
}

void hr_arena_rewind(hr_arena *arena, hr_arena_mark mark)
{
    arena->top = mark;
}
