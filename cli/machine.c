#include "cli/machine.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* What each rank tells the others about its machine. */
typedef struct rank_facts {
    uint64_t memory;  /* of the host, divided by its ranks */
    cpu_set_t cores;  /* that the rank may run on; empty: unknown */
    int32_t isa;      /* hr_isa */
    int32_t has_bf16; /* multiplied natively */
} rank_facts;

static hr_status forced_isa(hr_isa *out)
{
    static const char *const names[] = {"auto", "plain", "avx2", "avx512"};
    const char *asked = getenv("HALOREEL_ISA");

    *out = HR_ISA_AUTO;
    for (int i = 0; asked != NULL && i < 4; i++)
        if (strcmp(asked, names[i]) == 0) {
            *out = (hr_isa)i;
            return HR_OK;
        }
    if (asked != NULL)
        return hr_fail(HR_ERR_ARG, "HALOREEL_ISA: %s is not one of plain, avx2, avx512",
                       asked);
    return HR_OK;
}

static hr_status look_around(int n_local, rank_facts *out)
{
    rank_facts facts = {.memory = hr_mem_available() / (uint64_t)n_local};
    hr_isa_level level;
    hr_isa wanted;

    HR_TRY(forced_isa(&wanted));
    HR_TRY(hr_isa_look(wanted, &level));
    facts.isa = (int32_t)level.isa;
    facts.has_bf16 = level.has_bf16;
    if (sched_getaffinity(0, sizeof facts.cores, &facts.cores) != 0)
        CPU_ZERO(&facts.cores);
    *out = facts;
    return HR_OK;
}

/* My cores, divided by the ranks of this host that may run on one of them. */
static int share_cores(const hr_ranks *ranks, const rank_facts *all)
{
    const hr_rank_info *me = hr_world_rank_info(ranks->world, ranks->rank);
    int n_cores = CPU_COUNT(&all[ranks->rank].cores), n_sharing = 0;
    cpu_set_t both;

    for (int r = 0; r < ranks->n; r++) {
        if (hr_world_rank_info(ranks->world, r)->host_index != me->host_index)
            continue;
        CPU_AND(&both, &all[r].cores, &all[ranks->rank].cores);
        n_sharing += CPU_COUNT(&both) > 0;
    }
    if (n_sharing == 0)
        return 0;
    return n_cores > n_sharing ? n_cores / n_sharing : 1;
}

static const char *level_name(hr_isa isa, bool has_bf16)
{
    static const char *const names[] = {"auto", "plain code", "AVX2", "AVX-512"};

    return has_bf16 ? "AVX-512 with bf16" : names[isa];
}

static void take_least(const hr_ranks *ranks, const rank_facts *all, hr_machine *machine)
{
    char name[HR_RANK_TEXT_BYTES];
    int least = 0, most = 0;

    for (int r = 1; r < ranks->n; r++) {
        const rank_facts *now = &all[r];

        if (now->isa < all[least].isa ||
            (now->isa == all[least].isa && now->has_bf16 < all[least].has_bf16))
            least = r;
        if (now->isa > all[most].isa ||
            (now->isa == all[most].isa && now->has_bf16 > all[most].has_bf16))
            most = r;
    }
    machine->isa = (hr_isa)all[least].isa;
    machine->has_bf16 = all[least].has_bf16 != 0;
    if (hr_ranks_is_first(ranks) &&
        (all[most].isa != all[least].isa || all[most].has_bf16 != all[least].has_bf16))
        hr_warn("%s has %s only: all ranks use that, for the same bits",
                hr_ranks_name(ranks, least, name),
                level_name(machine->isa, machine->has_bf16));
    for (int r = 0; r < ranks->n; r++)
        if (r == 0 || all[r].memory < machine->least_memory)
            machine->least_memory = all[r].memory;
}

hr_status hr_machine_settle(const hr_ranks *ranks, const hr_job *job, hr_machine *out)
{
    int n_local = hr_world_rank_info(ranks->world, ranks->rank)->n_local;
    hr_machine machine = {.threads = (int)job->threads};
    rank_facts mine = {0}, *all;
    void *memory;
    hr_status status = look_around(n_local, &mine);

    HR_TRY(hr_ranks_collect(ranks, status, &mine, sizeof mine, &memory));
    all = memory;
    take_least(ranks, all, &machine);
    machine.memory = all[ranks->rank].memory;
    if (machine.threads == 0)
        machine.threads = share_cores(ranks, all);
    hr_free(all);
    if (!machine.has_bf16)
        hr_isa_forbid_bf16();
    *out = machine;
    return HR_OK;
}

int hr_machine_cores(void)
{
    cpu_set_t cores;

    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

hr_status hr_machine_of_one(const hr_job *job, hr_machine *out)
{
    hr_machine machine = {.threads = (int)job->threads, .memory = hr_mem_available()};
    hr_isa_level level;
    hr_isa wanted;

    HR_TRY(forced_isa(&wanted));
    HR_TRY(hr_isa_look(wanted, &level));
    machine.isa = level.isa;
    machine.has_bf16 = level.has_bf16;
    machine.least_memory = machine.memory;
    *out = machine;
    return HR_OK;
}

hr_status hr_machine_open_device(const hr_machine *machine, const hr_job *job,
                                 hr_device **out)
{
    static const char *const names[] = {[HR_JOB_AUTO] = "auto",
                                        [HR_JOB_CPU] = "cpu",
                                        [HR_JOB_CUDA] = "cuda",
                                        [HR_JOB_STRICT] = "strict"};
    const hr_device_options options = {
        .name = names[job->device], .threads = machine->threads, .isa = machine->isa};

    return hr_device_open(&options, out);
}

/* What a rank needs, and what it may use. */
typedef struct rank_memory {
    uint64_t needed, available;
} rank_memory;

static bool has_too_little(const rank_memory *memory)
{
    return memory->available != 0 && memory->needed > memory->available;
}

static hr_status refuse_memory(const hr_ranks *ranks, int rank, const rank_memory *memory)
{
    char needed[16], available[16], name[HR_RANK_TEXT_BYTES];

    hr_format_bytes(memory->needed, needed);
    hr_format_bytes(memory->available, available);
    if (ranks->n == 1)
        return hr_fail(HR_ERR_NOMEM, "not enough memory: %s needed, %s available", needed,
                       available);
    return hr_fail(HR_ERR_NOMEM, "not enough memory on %s: %s needed, %s available",
                   hr_ranks_name(ranks, rank, name), needed, available);
}

hr_status hr_machine_check_memory(const hr_ranks *ranks, const hr_machine *machine,
                                  uint64_t bytes)
{
    const rank_memory mine = {bytes, machine->memory};
    rank_memory *all;
    void *memory;
    hr_status status = HR_OK;

    HR_TRY(hr_ranks_collect(ranks, HR_OK, &mine, sizeof mine, &memory));
    all = memory;
    /* The first rank says it; the others may not end its gathering before. */
    for (int r = 0; hr_ranks_is_first(ranks) && r < ranks->n && status == HR_OK; r++)
        if (has_too_little(&all[r]))
            status = refuse_memory(ranks, r, &all[r]);
    hr_free(memory);
    return hr_ranks_agree(ranks, status);
}

hr_status hr_machine_share(const hr_job *job, int ranks_per_host, hr_machine *out)
{
    HR_TRY(hr_machine_of_one(job, out));
    out->memory /= (uint64_t)ranks_per_host;
    out->least_memory = out->memory;
    if (out->threads == 0)
        out->threads = hr_machine_cores() / ranks_per_host;
    if (out->threads == 0)
        out->threads = 1;
    return HR_OK;
}
