#include "cli/cli.h"

#include "base/log.h"
#include "base/memory.h"
#include "io/run_folder.h"
#include "io/video.h"

#include <argp.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RANKS_SECONDS = 20 };

typedef struct doctor_options {
    const char *model, *folder;
} doctor_options;

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    doctor_options *options = state->input;

    if (key == 'm')
        options->model = value;
    else if (key == 'f')
        options->folder = value;
    else if (key == ARGP_KEY_ARG)
        argp_error(state, "doctor takes options only");
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* One line: what was looked at, what was found, and what helps when it is not well. */
static int report(bool well, const char *what, const char *found, const char *remedy)
{
    printf("%-5s %-8s %s%s%s\n", well ? "ok" : "BAD", what, found, well ? "" : "; ",
           well ? "" : remedy);
    return well ? 0 : 1;
}

static int check_cpu(void)
{
    const hr_device_options options = {.name = "cpu"};
    hr_device *device;
    int bad;

    if (hr_device_open(&options, &device) != HR_OK)
        return report(false, "cpu", "cannot be used", "see the line above");
    bad = report(true, "cpu", hr_device_description(device), "");
    if (!hr_device_has_bf16(device))
        printf("%-5s %-8s %s\n", "note", "bf16",
               "no AVX-512: products of numerics exact run in fp32 on rounded values");
    hr_device_close(device);
    return bad;
}

static int check_memory(void)
{
    uint64_t free_bytes = hr_mem_available();
    char size[16], line[64];

    snprintf(line, sizeof line, "%s available", hr_format_bytes(free_bytes, size));
    return report(
        free_bytes >= 150U * 1000 * 1000, "memory", line,
        "the demo model takes about 0.1 GB: free some or raise the job's limit");
}

static int check_codec(void)
{
    const char *name = NULL;
    bool can = hr_video_can_encode(&name);

    return report(can, "video", can ? name : "libav has no H.264 encoder",
                  "install a libavcodec with x264, or use output.video: png");
}

/* The first line that a command says; "" when it cannot be run. */
static void first_line(const char *command, char *out, size_t room)
{
    FILE *pipe = popen(command, "r");

    out[0] = '\0';
    if (pipe == NULL)
        return;
    if (fgets(out, (int)room, pipe) != NULL)
        out[strcspn(out, "\n")] = '\0';
    pclose(pipe);
}

/* Runs the command without a word of it; its exit code, or -1 when it takes too long. */
static int run_silently(char *const command[])
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    pid_t child = fork();
    int status;

    if (child == 0) {
        int nowhere = open("/dev/null", O_RDWR);

        if (nowhere >= 0 && dup2(nowhere, 0) >= 0 && dup2(nowhere, 1) >= 0 &&
            dup2(nowhere, 2) >= 0)
            execvp(command[0], command);
        _exit(127);
    }
    for (int i = 0; child > 0 && i < RANKS_SECONDS * 20; i++) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        nanosleep(&pause, NULL);
    }
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    return -1;
}

/* Whether two ranks come together; renders on one rank need none of it. */
static void check_ranks(void)
{
    char program[PATH_MAX], launcher[128], line[400];
    char *const command[] = {"mpirun", "--oversubscribe", "-n",     "2",
                             program,  "render",          "--help", NULL};
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

    program[n > 0 ? n : 0] = '\0';
    first_line("mpirun --version 2>/dev/null", launcher, sizeof launcher);
    if (launcher[0] == '\0')
        snprintf(line, sizeof line, "no mpirun: videos are rendered on one rank");
    else if (run_silently(command) == 0)
        snprintf(line, sizeof line, "%s; 2 ranks work", launcher);
    else if (geteuid() == 0 && getenv("OMPI_ALLOW_RUN_AS_ROOT") == NULL)
        snprintf(line, sizeof line,
                 "%s; started by root it wants OMPI_ALLOW_RUN_AS_ROOT=1 and "
                 "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
                 launcher);
    else
        snprintf(line, sizeof line,
                 "%s; 2 ranks do not start: mpirun -n 2 haloreel render --help says why",
                 launcher);
    printf("%-5s %-8s %s\n", strstr(line, "2 ranks work") != NULL ? "ok" : "note",
           "ranks", line);
}

static int check_disk(const char *folder)
{
    uint64_t free_bytes;
    char size[16], line[256];

    if (hr_disk_available(folder, &free_bytes) != HR_OK)
        return report(false, "disk", folder, "give an existing folder to --folder");
    snprintf(line, sizeof line, "%s: %s free", folder, hr_format_bytes(free_bytes, size));
    if (access(folder, W_OK) != 0)
        return report(false, "disk", line,
                      "it cannot be written: give another folder to --folder and to "
                      "output.folder");
    return report(free_bytes > 100U * 1000 * 1000, "disk", line,
                  "give another folder to --folder and to output.folder");
}

static int check_model(const char *name)
{
    hr_model_entry entry;
    hr_model *model;
    char line[512];

    if (hr_open_model(name, &entry, &model) != HR_OK)
        return report(false, "model", name, "see the line above");
    snprintf(line, sizeof line, "%s: complete, in %s", name, entry.folder);
    hr_model_close(model);
    hr_model_entry_free(&entry);
    return report(true, "model", line, "");
}

int hr_cmd_doctor(int argc, char **argv)
{
    static const struct argp_option option_list[] = {
        {"model", 'm', "NAME", 0, "check this model (demo)", 0},
        {"folder", 'f', "DIR", 0, "where videos will be written (.)", 0},
        {0},
    };
    static const struct argp argp = {option_list,
                                     parse_option,
                                     NULL,
                                     "Checks what a render needs on this machine, one "
                                     "line each. Exits with 4 when something "
                                     "is bad.",
                                     NULL,
                                     NULL,
                                     NULL};
    doctor_options options = {.model = "demo", .folder = "."};
    int bad = 0;

    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return HR_EXIT_USAGE;
    bad += check_cpu();
    printf("%-5s %-8s %s\n", "note", "gpu", "this build renders on the CPU only");
    bad += check_memory();
    bad += check_codec();
    check_ranks();
    bad += check_disk(options.folder);
    bad += check_model(options.model);
    return bad == 0 ? HR_EXIT_DONE : HR_EXIT_RESOURCES;
}
