/* Inside worker/ only: frames and predictions in host memory, from their arrival until
 * they are used. Holds few things at any time, whatever the length of the video. Local.
 */
#ifndef HR_WORKER_INBOX_H
#define HR_WORKER_INBOX_H

#include "comm/mailbox.h"

#include <stdbool.h>

typedef enum hr_mail_kind {
    HR_MAIL_FRAME = 0,  /* the sample of `frame` after `step` steps */
    HR_MAIL_PREDICTION, /* the velocity of `frame` in a unit (step, window, branch) */
    HR_MAIL_CALL        /* about a meeting (meeting.h): never in an inbox */
} hr_mail_kind;

typedef struct hr_inbox hr_inbox;

/* Caller closes (NULL is fine). */
hr_status hr_inbox_open(size_t bytes_each, hr_inbox **out);
void hr_inbox_close(hr_inbox *inbox);

/* Copies the data; NULL: room without contents. The head's `from` does not matter here
 * and below. */
hr_status hr_inbox_put(hr_inbox *inbox, const hr_mail_head *head, const float *data);
/* Lent until it is dropped; NULL when it has not arrived. */
const float *hr_inbox_find(const hr_inbox *inbox, const hr_mail_head *head);
/* Does nothing when it is not there. */
void hr_inbox_drop(hr_inbox *inbox, const hr_mail_head *head);

/* All of them, in no order; each is numbered until the next put or drop. */
size_t hr_inbox_count(const hr_inbox *inbox);
const hr_mail_head *hr_inbox_head(const hr_inbox *inbox, size_t i);

#endif
