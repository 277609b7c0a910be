#include "worker/inbox.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"

#include <string.h>

typedef struct item {
    hr_mail_head head;
    float *data;
} item;

struct hr_inbox {
    size_t bytes_each, n, capacity;
    item *items;
};

hr_status hr_inbox_open(size_t bytes_each, hr_inbox **out)
{
    void *memory;

    HR_TRY(hr_alloc_or_fail(sizeof(hr_inbox), "an inbox", &memory));
    *out = memory;
    (*out)->bytes_each = bytes_each;
    return HR_OK;
}

void hr_inbox_close(hr_inbox *inbox)
{
    if (inbox == NULL)
        return;
    for (size_t i = 0; i < inbox->n; i++)
        hr_free(inbox->items[i].data);
    hr_free(inbox->items);
    hr_free(inbox);
}

static hr_status make_place(hr_inbox *inbox)
{
    size_t capacity = 2 * inbox->capacity + 16;
    item *items;

    if (inbox->n < inbox->capacity)
        return HR_OK;
    items = hr_realloc(inbox->items, capacity * sizeof *items);
    if (items == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a list of frames");
    inbox->items = items;
    inbox->capacity = capacity;
    return HR_OK;
}

hr_status hr_inbox_put(hr_inbox *inbox, const hr_mail_head *head, const float *data)
{
    void *copy;

    HR_TRY(make_place(inbox));
    HR_TRY(hr_alloc_or_fail(inbox->bytes_each, "a frame", &copy));
    if (data != NULL)
        memcpy(copy, data, inbox->bytes_each);
    inbox->items[inbox->n++] = (item){.head = *head, .data = copy};
    return HR_OK;
}

static bool is_same(const hr_mail_head *a, const hr_mail_head *b)
{
    return a->kind == b->kind && a->step == b->step && a->window == b->window &&
           a->branch == b->branch && a->frame == b->frame;
}

/* n when there is none. */
static size_t find(const hr_inbox *inbox, const hr_mail_head *head)
{
    size_t i = 0;

    while (i < inbox->n && !is_same(&inbox->items[i].head, head))
        i++;
    return i;
}

const float *hr_inbox_find(const hr_inbox *inbox, const hr_mail_head *head)
{
    size_t i = find(inbox, head);

    return i < inbox->n ? inbox->items[i].data : NULL;
}

void hr_inbox_drop(hr_inbox *inbox, const hr_mail_head *head)
{
    size_t i = find(inbox, head);

    if (i == inbox->n)
        return;
    hr_free(inbox->items[i].data);
    inbox->items[i] = inbox->items[--inbox->n];
}

size_t hr_inbox_count(const hr_inbox *inbox)
{
    return inbox->n;
}

const hr_mail_head *hr_inbox_head(const hr_inbox *inbox, size_t i)
{
    HR_ASSERT(i < inbox->n);
    return &inbox->items[i].head;
}
