/* What the machines of all ranks have in common, and what each rank gets of its own.
 * Local to cli/. */
#ifndef HR_CLI_MACHINE_H
#define HR_CLI_MACHINE_H

#include "cli/ranks.h"
#include "compute/device.h"
#include "io/job.h"

typedef struct hr_machine {
    hr_isa isa;            /* the least of all ranks */
    bool has_bf16;         /* native on all of them */
    int threads;           /* of this rank; 0: the device's own choice */
    uint64_t memory;       /* bytes that this rank may use; 0: unknown */
    uint64_t least_memory; /* of all ranks; 0: unknown */
} hr_machine;

/* Collective: looks at this machine and asks the others. Threads are the job's, or the
 * cores that this rank may run on, divided by the ranks of its host that may run there
 * too. $HALOREEL_ISA (plain, avx2, avx512) forces an instruction set on a rank. */
hr_status hr_machine_settle(const hr_ranks *ranks, const hr_job *job, hr_machine *out);

/* Local: opens the device that the job asks for, on this machine. */
hr_status hr_machine_open_device(const hr_machine *machine, const hr_job *job,
                                 hr_device **out);

/* Collective: refuses when `bytes`, what this rank needs, are more than it may use, on
 * whichever rank. */
hr_status hr_machine_check_memory(const hr_ranks *ranks, const hr_machine *machine,
                                  uint64_t bytes);

/* Local: cores that this process may run on, at least 1. */
int hr_machine_cores(void);
/* Local: for a process that is all by itself. */
hr_status hr_machine_of_one(const hr_job *job, hr_machine *out);
/* Local: what each of `ranks_per_host` ranks would get on a host like this one. */
hr_status hr_machine_share(const hr_job *job, int ranks_per_host, hr_machine *out);

#endif
