/* Named places where a test build can make a call fail (CMake: -DHR_FAULTS=ON).
 *
 *     HR_FAULT="POINT:N[+][=ACTION][@rankR],..."
 *
 * The N-th pass (from 1) of POINT in a process takes the action; with + all later ones
 * too. POINT * is any. ACTION: fail (default), kill (SIGKILL to itself), stop (SIGSTOP),
 * or sleepMS, after which the call goes on as if nothing had been. @rankR: on rank R of
 * the launcher only. HR_FAULT_TRACE=FILE: at the end of the process FILE.RANK says how
 * often each place was passed, "POINT FILE:LINE N". Local, any thread.
 *
 * Points are named LAYER.CALL: "file.write", "memory.alloc", "mpi.send". In other builds
 * there is nothing of it in the program. */
#ifndef HR_BASE_FAULT_H
#define HR_BASE_FAULT_H

#include <stdbool.h>

#ifdef HR_FAULTS
/* Whether the call that stands here is to fail. */
#    define hr_fault(point) hr_fault_at((point), __FILE__, __LINE__)
bool hr_fault_at(const char *point, const char *file, int line);
#else
#    define hr_fault(point) ((void)(point), false)
#endif

#endif
