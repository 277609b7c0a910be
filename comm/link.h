/* An ordered pipe of equally large tensors from one rank to another: hidden states from
 * stage to stage. Double-buffered: a send returns when the tensor has been copied out and
 * waits only while two earlier ones are still on their way; receives for the next two are
 * always posted. Local: no other rank takes part. */
#ifndef HR_COMM_LINK_H
#define HR_COMM_LINK_H

#include "comm/group.h"
#include "compute/device.h"

typedef struct hr_link hr_link;

/* Called by the two ranks that it joins, `from` and `to` of the group, in the same order
 * for all links of the pair. Closing is local; takes NULL. */
hr_status hr_link_open(hr_group *group, int from, int to, size_t max_bytes,
                       hr_link **out);
void hr_link_close(hr_link *link);

/* On `from`. Waits for the stream. */
hr_status hr_link_send(hr_link *link, hr_stream *stream, const hr_tensor *x);
/* On `to`: fills x, enqueued; the next message's bytes are x's. */
hr_status hr_link_receive(hr_link *link, hr_stream *stream, const hr_tensor *x);

/* In the order of the tensors, a number other than 0 instead of one. On `from`. */
hr_status hr_link_send_note(hr_link *link, uint8_t note);
/* On `to`: waits for the next message. A note is taken; *note is 0 when it is a tensor,
 * which is there to be received, and in a pretended world. */
hr_status hr_link_wait(hr_link *link, uint8_t *note);

#endif
