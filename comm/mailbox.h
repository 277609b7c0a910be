/* Small messages between any ranks, in the background: latents and predictions of frames.
 *
 * A message is a head and some bytes. Sending copies and returns at once; messages from
 * one sender arrive in the order in which they were sent. There are none to oneself.
 * Some receives from any rank are always posted, so that messages arrive while this rank
 * computes; hr_world_progress moves them on. Local, but for opening and settling. */
#ifndef HR_COMM_MAILBOX_H
#define HR_COMM_MAILBOX_H

#include "comm/group.h"

typedef struct hr_mailbox hr_mailbox;

typedef struct hr_mail_head {
    int32_t kind, step, window, branch, frame; /* the user's own */
    int32_t from;                              /* filled in on arrival */
} hr_mail_head;

typedef struct hr_mail {
    hr_mail_head head;
    size_t bytes;
    void *data; /* 64-byte aligned, part of the message */
} hr_mail;

/* Collective over the group; `max_bytes` of one message, `traffic` what they count as.
 * Closing is local; takes NULL. What has been sent still arrives, what nobody has taken
 * is lost. */
hr_status hr_mailbox_open(hr_group *group, size_t max_bytes, hr_traffic traffic,
                          hr_mailbox **out);
void hr_mailbox_close(hr_mailbox *box);

hr_status hr_mailbox_send(hr_mailbox *box, int to, const hr_mail_head *head,
                          const void *data, size_t bytes);
/* The next message that has arrived; *out is NULL when there is none. Caller frees it
 * with hr_mail_free (NULL is fine). */
hr_status hr_mailbox_take(hr_mailbox *box, hr_mail **out);
void hr_mail_free(hr_mail *mail);
/* Collective over the group: returns when all that anybody had sent when it came here
 * has arrived and waits to be taken. Each tells each other rank how many messages it has
 * sent to it, so what is sent later does not matter. */
hr_status hr_mailbox_settle(hr_mailbox *box);

/* Waits until there is a message to take, or something else is enough. */
typedef struct hr_mailbox_wait_args {
    int waiting_for; /* whom the message about a passed deadline names; -1: nobody */
    bool (*is_enough)(void *user); /* asked often; NULL: only a message is */
    void *user;
} hr_mailbox_wait_args;
/* In a pretended world, and alone: HR_ERR_INTERNAL. */
hr_status hr_mailbox_wait(hr_mailbox *box, const hr_mailbox_wait_args *args);

#endif
