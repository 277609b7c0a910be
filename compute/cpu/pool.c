#include "compute/cpu/pool.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { SPINS = 1000 }; /* pauses of some ten nanoseconds */

typedef struct pool_thread {
    hr_pool *pool;
    pthread_t thread;
    int index; /* from 1 */
} pool_thread;

struct hr_pool {
    pthread_mutex_t run_lock;   /* one hr_pool_run at a time */
    pthread_mutex_t sleep_lock; /* of the two conditions */
    pthread_cond_t work, done;
    atomic_uint round; /* changes when there is work, or the end */
    atomic_int busy;   /* threads that have not finished the round */
    atomic_int asleep; /* threads that wait for `work` */
    atomic_int worst;  /* status of the round */
    atomic_bool ending;
    _Atomic int64_t next; /* unit */
    hr_pool_fn fn;
    void *user;
    int64_t n;
    int n_threads; /* of its own */
    pool_thread threads[];
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void do_units(hr_pool *pool, int thread)
{
    int64_t i;
    int status, worst;

    while ((i = atomic_fetch_add(&pool->next, 1)) < pool->n &&
           atomic_load(&pool->worst) == HR_OK) {
        status = (int)pool->fn(pool->user, i, thread);
        worst = atomic_load(&pool->worst);
        while (status > worst &&
               !atomic_compare_exchange_weak(&pool->worst, &worst, status))
            continue;
    }
}

/* Until the round is another than `seen`. */
static void wait_for_round(hr_pool *pool, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&pool->round) != seen)
            return;
        relax();
    }
    pthread_mutex_lock(&pool->sleep_lock);
    atomic_fetch_add(&pool->asleep, 1);
    while (atomic_load(&pool->round) == seen)
        pthread_cond_wait(&pool->work, &pool->sleep_lock);
    atomic_fetch_sub(&pool->asleep, 1);
    pthread_mutex_unlock(&pool->sleep_lock);
}

static void *thread_main(void *argument)
{
    pool_thread *self = argument;
    hr_pool *pool = self->pool;
    unsigned seen = 0;

    omp_set_num_threads(1); /* oneDNN, called from here, must not make teams of its own */
    for (;;) {
        wait_for_round(pool, seen);
        seen = atomic_load(&pool->round);
        if (atomic_load(&pool->ending))
            return NULL;
        do_units(pool, self->index);
        if (atomic_fetch_sub(&pool->busy, 1) == 1) {
            pthread_mutex_lock(&pool->sleep_lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->sleep_lock);
        }
    }
}

static void begin_round(hr_pool *pool)
{
    atomic_fetch_add(&pool->round, 1);
    if (atomic_load(&pool->asleep) == 0)
        return;
    pthread_mutex_lock(&pool->sleep_lock);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->sleep_lock);
}

static void wait_until_done(hr_pool *pool)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&pool->busy) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&pool->sleep_lock);
    while (atomic_load(&pool->busy) != 0)
        pthread_cond_wait(&pool->done, &pool->sleep_lock);
    pthread_mutex_unlock(&pool->sleep_lock);
}

hr_status hr_pool_run(hr_pool *pool, hr_pool_fn fn, void *user, int64_t n)
{
    hr_status status;

    pthread_mutex_lock(&pool->run_lock);
    pool->fn = fn;
    pool->user = user;
    pool->n = n;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->worst, HR_OK);
    omp_set_num_threads(1);
    if (pool->n_threads > 0 && n > 1) {
        atomic_store(&pool->busy, pool->n_threads);
        begin_round(pool);
        do_units(pool, 0);
        wait_until_done(pool);
    } else {
        do_units(pool, 0);
    }
    status = (hr_status)atomic_load(&pool->worst);
    pthread_mutex_unlock(&pool->run_lock);
    return status;
}

static hr_status start_threads(hr_pool *pool, int n)
{
    int error;

    for (int i = 0; i < n; i++) {
        pool->threads[i] = (pool_thread){.pool = pool, .index = i + 1};
        error = hr_fault("thread.create")
                    ? EAGAIN
                    : pthread_create(&pool->threads[i].thread, NULL, thread_main,
                                     &pool->threads[i]);
        if (error != 0)
            return hr_fail(HR_ERR_NOMEM, "device cpu: cannot start thread %d of %d: %s",
                           i + 2, n + 1, strerror(error));
        pool->n_threads++;
    }
    return HR_OK;
}

hr_status hr_pool_create(int threads, hr_pool **out)
{
    void *memory;
    hr_pool *pool;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *pool + (size_t)threads * sizeof(pool_thread),
                            "threads", &memory));
    pool = memory;
    pthread_mutex_init(&pool->run_lock, NULL);
    pthread_mutex_init(&pool->sleep_lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    status = start_threads(pool, threads - 1);
    if (status != HR_OK) {
        hr_pool_destroy(pool);
        return status;
    }
    *out = pool;
    return HR_OK;
}

void hr_pool_destroy(hr_pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store(&pool->ending, true);
    begin_round(pool);
    for (int i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->sleep_lock);
    pthread_mutex_destroy(&pool->run_lock);
    hr_free(pool);
}
