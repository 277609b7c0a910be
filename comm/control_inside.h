/* The insides of the control channel: what control.c, agree.c and drain.c share. */
#ifndef HR_COMM_CONTROL_INSIDE_H
#define HR_COMM_CONTROL_INSIDE_H

#include "base/log.h"
#include "comm/control.h"
#include "comm/process.h"
#include "comm/transport.h"

typedef enum hr_notice_kind {
    HR_NOTICE_GIVE_UP = 0, /* status; lost: who, or -1 for the sender itself */
    HR_NOTICE_REPORT,      /* body: report */
    HR_NOTICE_SIGN,        /* still at work */
    HR_NOTICE_WAITING,     /* has waited for somebody for half of the deadline */
    HR_NOTICE_ARRIVED,     /* at agreement `number` with status; body: last error */
    HR_NOTICE_VERDICT,     /* of agreement `number`: status */
    HR_NOTICE_DRAIN        /* number: messages sent to the receiver so far */
} hr_notice_kind;

typedef struct hr_notice {
    int32_t kind, status, lost, is_leaving;
    uint32_t epoch, body_bytes;
    uint64_t number;
    union {
        hr_report report;
        char line[HR_LOG_LINE_BYTES];
    } body;
} hr_notice;

/* What a rank has said at an agreement, or before a recovery. */
typedef struct hr_arrival {
    uint64_t number; /* of its latest agreement */
    hr_status status;
    bool is_leaving;
    char line[HR_LOG_LINE_BYTES];
    bool has_drained; /* said what it has sent in this epoch */
    uint32_t drain_epoch;
    uint64_t n_sent;
} hr_arrival;

typedef struct hr_outgoing hr_outgoing; /* control.c */

struct hr_control {
    hr_request *receive; /* always posted; NULL after a failure of the transport */
    hr_notice in;
    bool is_mute; /* a notice could not be sent */
    hr_outgoing *outgoing;
    hr_outgoing *spare[2]; /* without and with a body */
    double next_watch_seconds, next_sign_seconds;
    double *heard_seconds;   /* [size], the last sign or report of each; 0: never */
    hr_process *process;     /* [size] */
    double *waiting_seconds; /* [size], likewise, when each said that it waits */
    bool *is_watched;        /* [size] */
    hr_arrival *arrival;     /* [size] */
    uint64_t n_agreements;   /* that this rank has begun */
    uint64_t verdict_number;
    hr_status verdict;
    hr_status
        next_failure; /* of the next epoch, from ranks that have recovered already */
};

/* Local. Failures set world->failure, too. */
hr_status hr_control_send(hr_world *world, int to, const hr_notice *notice);
void hr_control_send_all(hr_world *world, const hr_notice *notice);

#endif
