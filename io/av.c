#include "io/av.h"

#include "base/log.h"

#include <libavutil/avutil.h>
#include <libavutil/error.h>
#include <libavutil/log.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static pthread_once_t quiet_once = PTHREAD_ONCE_INIT;

static void pass_on(void *context, int level, const char *format, va_list args)
{
    char line[512];

    (void)context;
    if (level > AV_LOG_INFO)
        return;
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    hr_debug("libav: %s", line);
}

static void install(void)
{
    av_log_set_callback(pass_on);
}

void hr_av_quiet(void)
{
    pthread_once(&quiet_once, install);
}

hr_status hr_av_fail(const char *path, const char *doing, int code)
{
    char cause[AV_ERROR_MAX_STRING_SIZE];

    av_strerror(code, cause, sizeof cause);
    return hr_fail(code == AVERROR(ENOMEM) ? HR_ERR_NOMEM : HR_ERR_IO, "cannot %s %s: %s",
                   doing, path, cause);
}

void hr_av_to_bytes(const float *in, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        float x = in[i] > 0 ? in[i] : 0; /* also for NaN */
        out[i] = (uint8_t)rintf((x < 1 ? x : 1) * 255.0F);
    }
}
