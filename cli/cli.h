/* The command line: what the sub-commands share. */
#ifndef HR_CLI_CLI_H
#define HR_CLI_CLI_H

#include "base/status.h"
#include "comm/world.h"
#include "compute/device.h"
#include "io/job.h"
#include "model/model.h"

#include <stdbool.h>

/* Exit codes; --help prints them (cli/main.c). */
enum {
    HR_EXIT_DONE = 0,
    HR_EXIT_USAGE = 2,
    HR_EXIT_MODEL = 3,
    HR_EXIT_RESOURCES = 4,
    HR_EXIT_CHECKPOINT = 5,
    HR_EXIT_DEVICE = 69,
    HR_EXIT_INTERNAL = 70,
    HR_EXIT_STOPPED = 75
};
int hr_exit_code(hr_status status);

/* One sub-command: argv[0] is its own name. Returns the exit code. */
int hr_cmd_render(int argc, char **argv);
int hr_cmd_resume(int argc, char **argv);
int hr_cmd_plan(int argc, char **argv);
int hr_cmd_compare(int argc, char **argv);
int hr_cmd_status(int argc, char **argv);
int hr_cmd_submit(int argc, char **argv);
int hr_cmd_inspect(int argc, char **argv);
int hr_cmd_doctor(int argc, char **argv);
int hr_cmd_bench(int argc, char **argv);

/* The entry of `model` below configs/, with the folder opened and checked. Caller frees
 * both. */
hr_status hr_open_model(const char *name, hr_model_entry *entry, hr_model **model);

/* Opens the device that a job asks for, for a process that is all by itself
 * (cli/machine.h is for ranks). */
hr_status hr_open_job_device(const hr_job *job, hr_device **out);

/* $TMPDIR, or /tmp. */
const char *hr_temporary_folder(void);

/* Handles SIGINT, SIGTERM, SIGHUP and SIGUSR1 from now on: the first asks the work to
 * stop. Where there is patience the process waits for its checkpoint, or for a second
 * signal (SIGTERM within two seconds is the same wish); else it ends within a second,
 * with HR_EXIT_STOPPED in both cases. Nothing half-written has a final name at any
 * moment. Call it before any thread is started. Until hr_signals_set_world it also
 * watches the start of the ranks, and ends the process with HR_EXIT_DEVICE when they do
 * not get together within two minutes. */
hr_status hr_signals_start(void);
bool hr_signals_stop_wanted(void);
/* From now on a signal waits for a checkpoint, which takes about so many seconds (0:
 * unknown); negative, as at the start: there is nothing to wait for. */
void hr_signals_set_patience(double seconds);
/* Launchers end all ranks with SIGTERM when one is gone: with a world, a signal looks for
 * a lost rank first, names it and ends with HR_EXIT_DEVICE. NULL: no more. */
void hr_signals_set_world(hr_world *world);
/* From now on signals are ignored: all is done, and the other ranks end at the same time.
 */
void hr_signals_end(void);
/* What to do before the process ends at once (HR_ERR_CANCELLED: on request; or
 * HR_ERR_DEVICE); NULL: nothing. Called on another thread. */
typedef void (*hr_last_words_fn)(void *user, hr_status why);
void hr_signals_set_last_words(hr_last_words_fn last_words, void *user);

#endif
