#include "cli/cli.h"

#include "base/log.h"

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct sub_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
    bool is_question; /* what it prints is all that it is for */
} sub_command;

static const sub_command commands[] = {
    {"render", hr_cmd_render, "render a video from a prompt or a job file", false},
    {"resume", hr_cmd_resume, "go on with a run that was stopped or lost its machine",
     false},
    {"plan", hr_cmd_plan, "say what a render would take on some ranks, without rendering",
     true},
    {"submit", hr_cmd_submit, "hand a render to Slurm, which keeps it going", false},
    {"status", hr_cmd_status, "say how far a render is", true},
    {"compare", hr_cmd_compare, "compare two runs: the first step and frame that differ",
     true},
    {"inspect", hr_cmd_inspect, "say what a model folder or a tensor file holds", true},
    {"doctor", hr_cmd_doctor, "check this machine; one line each, with the remedy", true},
    {"bench", hr_cmd_bench, "time operators and the whole pipeline here; CSV", true},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static const char exit_codes[] =
    "Exit codes: 0 done; 1 compare: the runs differ; 2 usage or job file; 3 model "
    "folder;\n"
    "4 not enough memory or disk, or the output cannot be written;\n"
    "5 a checkpoint that is damaged or of another job;\n"
    "69 a device or another rank failed; 70 internal error, or render --verify: the "
    "ranks\n"
    "do not make the bits of one; 75 stopped on request.\n";

int hr_exit_code(hr_status status)
{
    static const int codes[HR_STATUS_COUNT] = {
        [HR_OK] = HR_EXIT_DONE,
        [HR_ERR_CANCELLED] = HR_EXIT_STOPPED,
        [HR_ERR_ARG] = HR_EXIT_USAGE,
        [HR_ERR_FORMAT] = HR_EXIT_USAGE,
        [HR_ERR_MODEL] = HR_EXIT_MODEL,
        [HR_ERR_CHECKPOINT] = HR_EXIT_CHECKPOINT,
        [HR_ERR_UNSUPPORTED] = HR_EXIT_USAGE,
        [HR_ERR_NOMEM] = HR_EXIT_RESOURCES,
        [HR_ERR_IO] = HR_EXIT_RESOURCES,
        [HR_ERR_TIMEOUT] = HR_EXIT_DEVICE,
        [HR_ERR_DEVICE] = HR_EXIT_DEVICE,
        [HR_ERR_INTERNAL] = HR_EXIT_INTERNAL,
    };

    return codes[status];
}

static void print_help(void)
{
    puts("haloreel " HR_VERSION
         ": videos from text prompts with Wan-family diffusion transformers\n");
    puts("Usage: haloreel COMMAND [OPTION...]\n");
    for (int i = 0; i < N_COMMANDS; i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].help);
    puts("\nhaloreel COMMAND --help explains each. For a first video:");
    puts("  haloreel render --prompt \"A red cat walks through a green meadow.\" -o "
         "cat.mp4\n");
    puts("On several ranks:\n  mpirun -n 2 haloreel render job.yaml\n");
    fputs(exit_codes, stdout);
}

/* An answer that was not written is none. */
static int run(const sub_command *command, int argc, char **argv)
{
    int code = command->run(argc, argv);

    if (!command->is_question || (fflush(stdout) == 0 && !ferror(stdout)))
        return code;
    hr_error("standard output cannot be written");
    return code == HR_EXIT_DONE ? HR_EXIT_RESOURCES : code;
}

int main(int argc, char **argv)
{
    char name[32];

    argp_err_exit_status = HR_EXIT_USAGE;
    if (argc < 2) {
        hr_error("no command; haloreel --help lists them");
        return HR_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help();
        return HR_EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("haloreel " HR_VERSION);
        return HR_EXIT_DONE;
    }
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            snprintf(name, sizeof name, "haloreel %s", commands[i].name);
            argv[1] = name; /* what --help calls the program */
            return run(&commands[i], argc - 1, argv + 1);
        }
    hr_error("unknown command %s; haloreel --help lists them", argv[1]);
    return HR_EXIT_USAGE;
}
