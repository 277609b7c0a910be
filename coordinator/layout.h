/* How ranks share the work: world = cfg x windows x stages x tensor. Pure; local.
 *
 * Ranks of a tensor group neighbour each other, then come stages, then the guidance
 * branches (cfg), then window groups; what is left over at the end is idle. */
#ifndef HR_COORDINATOR_LAYOUT_H
#define HR_COORDINATOR_LAYOUT_H

#include "io/job.h"

typedef struct hr_layout {
    int windows, stages, tensor, cfg;
} hr_layout;

typedef struct hr_place {
    int windows, stage, tensor, cfg; /* index along each axis */
    bool is_idle;                    /* takes no part in denoising */
} hr_place;

int hr_layout_size(const hr_layout *layout); /* ranks that are not idle */
hr_place hr_layout_place(const hr_layout *layout, int rank);
int hr_layout_rank(const hr_layout *layout, const hr_place *place);
/* "2 windows x 1 stage x 4 tensor x 1 cfg" for people; returns `out`. */
enum { HR_LAYOUT_TEXT_BYTES = 96 };
char *hr_layout_text(const hr_layout *layout, char out[HR_LAYOUT_TEXT_BYTES]);

/* What there is to share out. */
typedef struct hr_layout_request {
    hr_layout wanted; /* 0 is auto */
    int n_ranks, ranks_per_host;
    int64_t n_windows;         /* fewest in any step */
    int64_t n_layers;          /* of the transformer */
    int n_shards;              /* virtual shards: tensor divides it */
    int n_branches;            /* 1 or 2; cfg divides it */
    uint64_t rank_memory;      /* bytes per rank; 0: unknown */
    uint64_t weight_bytes;     /* of all blocks */
    uint64_t activation_bytes; /* of one rank, whatever the layout */
} hr_layout_request;

/* Fills in what is auto and checks the rest. Refused with the nearest layouts that work:
 * one that needs more ranks than there are, tensor that does not divide the shards or
 * crosses hosts unevenly, more stages than layers, cfg 2 without guidance (HR_ERR_ARG),
 * a model that does not fit into the ranks' memory (HR_ERR_NOMEM). More window groups
 * than windows is fine: some then wait. Auto takes, among the layouts that fit, the one
 * with the shortest estimated step (docs/long-video.md); on a tie more windows, then cfg,
 * then fewer stages, then less tensor. It keeps tensor groups within a host. */
hr_status hr_layout_choose(const hr_layout_request *request, hr_layout *out);
/* The same without a word: false when there is none. *efficiency is the estimated time of
 * one rank with room for all, over that of these ranks and their number: 1 at best. */
bool hr_layout_find(const hr_layout_request *request, hr_layout *out, double *efficiency);

#endif
