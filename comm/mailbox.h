/* Small messages between any ranks, in the background: latents and predictions of frames.
 *
 * A message is a head and some bytes. Sending copies and returns at once; messages from
 * one sender arrive in the order in which they were sent. There are none to oneself.
 * Some receives from any rank are always posted, so that messages arrive while this rank
 * computes; hr_world_progress moves them on. Local, but for opening. */
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
/* Collective over the group: waits until all that anybody had sent when it came here has
 * arrived, ready to be taken by the next calls of hr_mailbox_take. Nobody sends while
 * some are in it. */
hr_status hr_mailbox_settle(hr_mailbox *box);
/* Waits until there is a message to take. `waiting_for` (a rank, or -1) is whom the
 * message about a passed deadline names. In a pretended world: HR_ERR_INTERNAL. */
hr_status hr_mailbox_wait(hr_mailbox *box, int waiting_for);

#endif
