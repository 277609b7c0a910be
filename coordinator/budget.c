#include "coordinator/budget.h"

#define ROUND_MARGIN 1.25
#define SAVE_MARGIN 1.5
#define COST_FACTOR 50 /* saving takes at most 1/50 of the time */

static double most(double a, double b)
{
    return a > b ? a : b;
}

static double longest_round(const hr_budget_now *now)
{
    return most(now->round_seconds, now->late_round_seconds);
}

static double save_seconds(const hr_budget *budget, const hr_budget_now *now)
{
    return now->save_seconds > 0 ? now->save_seconds : budget->guess_save_seconds;
}

double hr_budget_margin(const hr_budget *budget, const hr_budget_now *now)
{
    return 2 * ROUND_MARGIN * longest_round(now) +
           SAVE_MARGIN * save_seconds(budget, now) + budget->reserve_seconds;
}

double hr_budget_stop_seconds(const hr_budget *budget, const hr_budget_now *now)
{
    return longest_round(now) + save_seconds(budget, now);
}

static bool is_due(const hr_budget *budget, const hr_budget_now *now)
{
    if (budget->every_steps > 0)
        return now->steps_since_save >= budget->every_steps;
    return budget->every_seconds > 0 &&
           now->since_save_seconds >=
               most(budget->every_seconds, COST_FACTOR * now->save_seconds);
}

hr_decision hr_budget_decide(const hr_budget *budget, const hr_budget_now *now)
{
    double margin = hr_budget_margin(budget, now);
    bool has_limit = now->left_seconds >= 0;

    if (has_limit && now->left_seconds < margin)
        return HR_SAVE_AND_STOP;
    if (!is_due(budget, now))
        return HR_GO_ON;
    /* After it there would be no time for another round: the stop saves as well. */
    if (has_limit && now->left_seconds < margin + save_seconds(budget, now))
        return HR_SAVE_AND_STOP;
    return HR_SAVE;
}
