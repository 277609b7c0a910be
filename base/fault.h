/* Named places where the tests' program makes a call fail: haloreel-faults, which is
 * haloreel but for this. A user's program has nothing of it.
 *
 *     HR_FAULT="POINT[@PLACE]:N[+][=ACTION][@rankR],..."
 *
 * The N-th pass (from 1) of POINT in a process takes the action; with + all later ones
 * too. POINT * is any. With @PLACE only passes of that place count; with + it is then
 * later passes at any place. @rankR: on rank R of the launcher only. ACTION: fail
 * (default); errnoE, fail with that errno; kill (SIGKILL to itself); stop (SIGSTOP); or
 * sleepMS, after which the call goes on as if nothing had been.
 *
 * Points are named LAYER.CALL: "file.write", "memory.alloc", "mpi.send". A place is
 * FILE:LINE from the root of the sources, or +OFFSET in the program (of the caller of a
 * function of base/memory.h).
 *
 * HR_FAULT_TRACE=FILE: at the end of the process FILE.RANK has a line "POINT PLACE N" for
 * each place, N passes; "failed POINT PLACE N" for what was made to fail (its first
 * pass), and "live N" with the blocks of memory that are still alive. Local, any thread.
 */
#ifndef HR_BASE_FAULT_H
#define HR_BASE_FAULT_H

#include <stdbool.h>

#ifdef HR_FAULTS
/* Whether the call that stands here is to fail. */
#    define hr_fault(point) hr_fault_at((point), __FILE__, __LINE__, (void *)0)
/* The same; sets errno when it is. */
#    define hr_fault_errno(point, code)                                                  \
        (hr_fault_at((point), __FILE__, __LINE__, (void *)0) && hr_fault_set_errno(code))
/* The place is that of a caller. */
#    define hr_fault_from(point, address) hr_fault_at((point), "", 0, (address))
bool hr_fault_at(const char *point, const char *file, int line, const void *address);
bool hr_fault_set_errno(int code);
/* For tests of C: these rules and no others from now on, passes are counted anew. NULL:
 * none. */
void hr_fault_set(const char *rules);
#else
#    define hr_fault(point) ((void)(point), false)
#    define hr_fault_errno(point, code) ((void)(point), (void)(code), false)
#    define hr_fault_from(point, address) ((void)(point), false)
#endif

/* Files that have points are compiled twice, the others once (CMakeLists.txt). */
#ifdef HR_HAS_NO_FAULTS
#    error "this file has fault points now: run cmake again"
#endif

#endif
