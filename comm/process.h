/* Other processes of this machine, and whether they still live. Local; may be called from
 * any thread. */
#ifndef HR_COMM_PROCESS_H
#define HR_COMM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* Enough to know a process again: pids are used twice. Can be sent to other ranks. */
typedef struct hr_process {
    int64_t pid;
    uint64_t start_ticks;        /* when it was started, since the boot */
    uint64_t pid_space, network; /* the kernel's name spaces */
    char boot[40];               /* of this machine */
} hr_process;

hr_process hr_process_self(void);
/* Whether this process can see that one: same boot, same pids, and it is there. */
bool hr_process_is_visible(const hr_process *process);
/* Whether a process of this number is there; a zombie is not. */
bool hr_process_exists(int64_t pid);
/* Of a visible one. A zombie is dead. */
bool hr_process_is_alive(const hr_process *process);

/* Whether the environment says that a launcher started this process with others, and with
 * how many (0: it does not say). */
bool hr_process_was_launched(void);
int hr_process_launched_size(void);

#endif
